"""Croissant 1.1: the data set that `prepare` made, as JSON-LD.

The format: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. The passport has one digest of the data
set, DVC's md5. Of a folder it is the md5 of a file, DVC's listing, which has path and md5 of every file: the listing is
the first file here. Where the data set is at hand, its files follow, with the records that can be told from them.
"""

from __future__ import annotations

import json
import mimetypes
import re
from pathlib import Path
from typing import Any

from core.files import sha256
from ops.passport.formats.package import Package, address

OWN = """
    annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileObject fileProperty
    fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path readLines recordSet references regex
    repeated replace samplingRate sdVersion separator source subField transform unArchive value
"""
"""Croissant's words."""
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
    "conformsTo": "dct:conformsTo",
    **{key: f"cr:{key}" for key in OWN.split()},
}
"""As the specification recommends it (appendix 1); mlcroissant asks for the two containers, too."""
NAME = re.compile(r"[A-Za-z_]\w*")
"""What stands in a JSON path as it is."""
TYPES = {str: "sc:Text", bool: "sc:Boolean", int: "sc:Integer", float: "sc:Float"}
COLUMNS = {
    "string": "sc:Text",
    "large_string": "sc:Text",
    "bool": "sc:Boolean",
    "double": "sc:Float",
    "float": "sc:Float",
}
"""Of parquet's columns, as pyarrow names them; whole numbers of any width are sc:Integer."""
FORMATS = {".jsonl": "application/jsonlines", ".parquet": "application/x-parquet"}
"""What the standard library does not know, as Croissant names it."""


def document(package: Package, data: Path | None = None) -> dict[str, Any]:
    """data: the folder of the data set, which the passport's digest fits."""
    stated = package.links.get("data", {})
    source, licence = address(stated.get("source")), stated.get("license")
    files = sorted(path for path in data.rglob("*") if path.is_file()) if data else []
    distribution = [*_listing(package), *_archive(source, stated.get("pin"))]
    records: list[dict[str, Any]] = []
    for path in files:
        if path.parent == data:
            described, found = _file(path)
            distribution += described
            records += found
    distribution += _sets(data, files) if data else []
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": f"{package.task}-{package.md5[:12]}" if package.md5 else package.task,
        "description": f"What model {package.version} of the task {package.task} was trained, chosen and tested on: "
        f"DVC md5 {stated.get('prepared')}, made by the stage prepare of {source or stated.get('source')}.",
        **({"license": {"@type": "sc:CreativeWork", "name": licence}} if licence else {}),
        **({"url": source} if source else {}),
        "distribution": distribution,
        "recordSet": records,
    }


def _listing(package: Package) -> list[dict[str, Any]]:
    """The file whose md5 the passport has: the listing of a folder, or the one file that the data set is."""
    if not package.md5:
        return []
    prepared = package.links["data"]["prepared"]
    said = (
        "DVC's listing of the data set: path and md5 of every file. The address is relative to a DVC cache or remote."
    )
    return [
        {
            "@type": "cr:FileObject",
            "@id": "listing",
            "name": prepared,
            "description": said,
            "contentUrl": f"files/md5/{prepared[:2]}/{prepared[2:]}",
            "encodingFormat": "application/json",
            "md5": package.md5,
        }
    ]


def _archive(source: str | None, pin: str | None) -> list[dict[str, Any]]:
    """The raw data, where it was an archive, which has an address and a sha256."""
    if source is None or not re.fullmatch(r"[0-9a-f]{64}", pin or ""):
        return []
    name = source.rstrip("/").rpartition("/")[2]
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    known = {"name": name, "contentUrl": source, "encodingFormat": kind, "sha256": pin}
    return [{"@type": "cr:FileObject", "@id": "raw", "description": "The raw data.", **known}]


def _file(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A file of the data set, and its record sets.

    mlcroissant reads all fields of a FileObject as one table, so a file with several lists stands here once for each.
    """
    tables = {"": _columns(path)} if path.suffix == ".parquet" else _lists(path) if path.suffix == ".json" else {}
    known = {
        "@type": "cr:FileObject",
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _format(path.suffix),
        "sha256": sha256(path),
    }
    identities = {key: f"{path.name}/{key}" if len(tables) > 1 else path.name for key in tables} or {"": path.name}
    by = "column" if path.suffix == ".parquet" else "jsonPath"
    records = []
    for key, fields in tables.items():
        start = "" if by == "column" else f"$.{key}[*]." if key else "$[*]."
        identity = f"{path.stem}/{key}" if key else path.stem
        records.append(_record(identity, identities[key], fields, by, start))
    return [{"@id": identity, **known} for identity in identities.values()], records


def _sets(data: Path, files: list[Path]) -> list[dict[str, Any]]:
    """What lies in folders, by folder and kind; the digests are in the listing."""
    found = {}
    for path in files:
        if path.parent != data:
            includes = f"{path.parent.relative_to(data).as_posix()}/*{path.suffix}"
            kind = {"encodingFormat": _format(path.suffix), "includes": includes}
            found[includes] = {"@type": "cr:FileSet", "@id": includes, "name": includes, **kind}
    return list(found.values())


def _format(suffix: str) -> str:
    known = FORMATS.get(suffix.lower())
    return known or mimetypes.guess_type(f"a{suffix.lower()}")[0] or "application/octet-stream"


def _lists(path: Path) -> dict[str, dict[str, Any]]:
    """Fields of a JSON file's lists of objects: of the one at its top (no key), or of those one level below (COCO)."""
    content = json.loads(path.read_text(encoding="utf-8"))
    lists = content if isinstance(content, dict) else {"": content}
    found = {key: _fields(rows) for key, rows in lists.items() if NAME.fullmatch(key) or not key}
    return {key: fields for key, fields in found.items() if fields}


def _record(identity: str, file: str, fields: dict[str, dict[str, Any]], by: str, start: str) -> dict[str, Any]:
    described = [
        {
            "@type": "cr:Field",
            "@id": f"{identity}/{field}",
            "name": field,
            **kind,
            "source": {"fileObject": {"@id": file}, "extract": {by: f"{start}{field}"}},
        }
        for field, kind in fields.items()
    ]
    return {"@type": "cr:RecordSet", "@id": identity, "name": identity, "field": described}


def _fields(rows: Any) -> dict[str, dict[str, Any]]:
    """Type of each key that every object of a list has: a plain value, or a list of such; others are left out."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return {}
    found = {}
    for key in rows[0]:
        if NAME.fullmatch(key) and all(key in row for row in rows):
            values = [row[key] for row in rows]
            if all(isinstance(value, list) for value in values):
                inner = _type([entry for value in values for entry in value])
                kind = {"dataType": inner, "isArray": True, "arrayShape": "-1"} if inner else None
            else:
                inner = _type(values)
                kind = {"dataType": inner} if inner else None
            if kind:
                found[key] = kind
    return found


def _type(values: list[Any]) -> str | None:
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return TYPES[float]
    return TYPES.get(kinds.pop()) if len(kinds) == 1 else None


def _columns(path: Path) -> dict[str, dict[str, Any]]:
    from pyarrow import parquet

    kinds = {field.name: str(field.type) for field in parquet.read_schema(path)}
    named = {name: "sc:Integer" if re.match(r"u?int\d", kind) else COLUMNS.get(kind) for name, kind in kinds.items()}
    return {name: {"dataType": kind} for name, kind in named.items() if kind}
