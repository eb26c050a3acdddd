"""Holds events to their published schemas, with a validator that is not Tocsin's.

usage: event_schemas.py PUBLISHED PAYLOADS

PUBLISHED is JSON: {"document": /openapi.json, "types": the data of /v1/event-types, "bodies": [{"type", "body"}]}; the bodies are
our own encodings. PAYLOADS is the catalogue document's examples. Every body must fit the schema of its type in both places,
exactly: no member that the schema does not name, and in the schema's order. Spoilt bodies must not fit.
"""

import copy
import datetime
import json
import sys
import urllib.parse

from jsonschema import Draft202012Validator, FormatChecker

formats = FormatChecker()


@formats.checks("date-time", raises=ValueError)
def is_time(value):
    if isinstance(value, str):
        if not value.endswith("Z"):
            raise ValueError("not UTC")
        datetime.datetime.fromisoformat(value[:-1] + "+00:00")
    return True


@formats.checks("uri")
def is_url(value):
    return not isinstance(value, str) or bool(urllib.parse.urlsplit(value).scheme and urllib.parse.urlsplit(value).netloc)


def exact(schema):
    """The schema without room for members that it does not name."""
    if isinstance(schema, dict):
        closed = {name: exact(value) for name, value in schema.items()}
        if "properties" in closed:
            closed["additionalProperties"] = False
        return closed
    if isinstance(schema, list):
        return [exact(value) for value in schema]
    return schema


def order_faults(value, schema, path="body"):
    if isinstance(value, dict) and "properties" in schema:
        wanted = [name for name in schema["properties"] if name in value]
        if list(value) != wanted:
            yield f"{path} has {list(value)}, the schema's order is {wanted}"
        for name in wanted:
            yield from order_faults(value[name], schema["properties"][name], f"{path}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, element in enumerate(value):
            yield from order_faults(element, schema["items"], f"{path}[{index}]")


def spoilt(body, schema):
    """The body with one thing wrong, for each thing that can be wrong: (what, body)."""
    for name in schema.get("required", []):
        without = copy.deepcopy(body)
        del without[name]
        yield f"without {name}", without
    for name, value in body.items():
        other = copy.deepcopy(body)
        other[name] = 7.5 if isinstance(value, (str, dict, list, bool)) else "seven"
        yield f"{name} of another kind", other
        null = copy.deepcopy(body)
        null[name] = None
        yield f"{name} null", null
        inner = schema["properties"][name]
        if isinstance(value, dict) and "properties" in inner:
            for what, part in spoilt(value, inner):
                outer = copy.deepcopy(body)
                outer[name] = part
                yield f"{name}: {what}", outer


def main():
    published = json.load(open(sys.argv[1], encoding="utf-8"))
    payloads = json.load(open(sys.argv[2], encoding="utf-8"))
    components = published["document"]["components"]["schemas"]
    listed = {entry["type"]: entry for entry in published["types"]}
    faults, spoilt_count = [], 0

    schemas = {}
    for name, item in published["document"]["webhooks"].items():
        content = item["post"]["requestBody"]["content"]["application/json"]
        schemas[name] = components[content["schema"]["$ref"].rsplit("/", 1)[1]]
        Draft202012Validator.check_schema(schemas[name])
        if schemas[name] != listed[name]["schema"]:
            faults.append(f"{name}: the document and the list of types have different schemas")
        if content["example"] != listed[name]["example"]:
            faults.append(f"{name}: the document and the list of types have different examples")
        published["bodies"].append({"type": name, "body": content["example"], "from": "example"})
    published["bodies"] += [{"type": payload["type"], "body": payload, "from": "catalogue"} for payload in payloads]

    for entry in published["bodies"]:
        name, body = entry["type"], entry["body"]
        schema = schemas[name]
        where = f"{name} ({entry.get('from', 'encoded')})"
        strict = Draft202012Validator(exact(schema), format_checker=formats)
        faults += [f"{where}: {error.json_path}: {error.message}" for error in strict.iter_errors(body)]
        faults += [f"{where}: {fault}" for fault in order_faults(body, schema)]
        for what, wrong in spoilt(body, schema):
            spoilt_count += 1
            if strict.is_valid(wrong):
                faults.append(f"{where}: {what} fits all the same")
        more = {**body, "a_member_of_tomorrow": 1}
        if not Draft202012Validator(schema, format_checker=formats).is_valid(more):
            faults.append(f"{where}: a member more does not fit")
        if strict.is_valid(more):
            faults.append(f"{where}: a member that no table names goes unseen")

    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"{len(schemas)} schemas, {len(published['bodies'])} bodies fit, {spoilt_count} spoilt ones do not")


main()
