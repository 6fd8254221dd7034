"""How data is checked: expectations as data in, outcomes and Data Docs out. Used by the stage `validate`."""
