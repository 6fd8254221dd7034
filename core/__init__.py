"""The ground every stage stands on: params, errors, files, tracking. A change here re-runs everything."""
