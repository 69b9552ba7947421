#!/usr/bin/env python3
"""Makes schema.json of OCSF's own export: python3 reduce.py 1.8.0.json > schema.json

The export (https://schema.ocsf.io/1.8.0/export/v2/schema) is in a form of OCSF's own. What comes out is JSON Schema with the same meaning for the
classes and objects named here, and stricter in two ways: what OCSF calls deprecated is refused, and so are objects that are not named here.
"""

import json
import sys

CLASSES = ["base_event", "network_activity", "http_activity", "detection_finding"]
OBJECTS = [
    "actor", "analytic", "certificate", "evidences", "finding_info", "fingerprint", "firewall_rule", "http_request", "http_response", "idp",
    "key_value_object", "metadata", "network_connection_info", "network_endpoint", "network_traffic", "object", "observable", "policy", "product",
    "related_event", "span", "tls", "tls_extension", "trace", "url", "user",
]
# What a type is made of, where the dictionary does not say.
BASE = {
    "string_t": {"type": "string"},
    "integer_t": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "long_t": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float_t": {"type": "number"},
    "boolean_t": {"type": "boolean"},
    "json_t": True,
}


def named_type(name, types):
    if name in BASE:
        return BASE[name]
    described = types[name]
    schema = dict(named_type(described["type"], types))
    if "regex" in described:
        schema["pattern"] = described["regex"]
    if "max_len" in described:
        schema["maxLength"] = described["max_len"]
    if "range" in described:
        schema["minimum"], schema["maximum"] = described["range"]
    return schema


def attribute(described, types):
    if described["type"] == "object_t":
        name = described["object_type"]
        schema = {"$ref": f"#/$defs/{name}"} if name in OBJECTS else False
    elif "enum" in described:
        is_text = named_type(described["type"], types)["type"] == "string"
        schema = {"enum": sorted(described["enum"]) if is_text else sorted(int(value) for value in described["enum"])}
    else:
        schema = named_type(described["type"], types)
    return {"type": "array", "items": schema} if described.get("is_array") else schema


def siblings(attributes):
    """The name of an enumerated value is the one that OCSF gives it; under 99, Other, it is the source's."""
    for name, described in attributes.items():
        text = described.get("sibling")
        if text not in attributes or described.get("is_array"):
            continue
        for value, named in sorted(described.get("enum", {}).items(), key=lambda pair: int(pair[0])):
            if value != "99":
                then = {"properties": {text: {"const": named["caption"]}}}
                yield {"if": {"properties": {name: {"const": int(value)}}, "required": [name]}, "then": then}


def constraints(described):
    for kind, names in (described.get("constraints") or {}).items():
        yield {{"at_least_one": "anyOf", "just_one": "oneOf"}[kind]: [{"required": [name]} for name in names]}


def without_profile(profile, names):
    has = {"properties": {"metadata": {"properties": {"profiles": {"contains": {"const": profile}}}, "required": ["profiles"]}}}
    return {"if": {"not": has}, "then": {"properties": {name: False for name in names}}}


def activities(described):
    """A type is a class and an activity."""
    uid = described.get("uid", 0)
    for value in described["attributes"]["activity_id"]["enum"]:
        then = {"properties": {"type_uid": {"const": uid * 100 + int(value)}}}
        yield {"if": {"properties": {"activity_id": {"const": int(value)}}}, "then": then}


def thing(described, types, is_class=False):
    attributes = {name: found for name, found in described["attributes"].items() if "@deprecated" not in found}
    ours = [name for name, found in attributes.items() if not found.get("profiles")]
    schema = {
        "type": "object",
        "properties": {name: attribute(found, types) for name, found in sorted(attributes.items())},
        "additionalProperties": False,
        "required": sorted(name for name in ours if attributes[name]["requirement"] == "required"),
    }
    rules = [*constraints(described), *siblings(attributes)]
    if is_class:
        rules += activities(described)
        profiles = sorted({profile for found in attributes.values() for profile in found.get("profiles") or []})
        for profile in profiles:
            rules.append(without_profile(profile, sorted(name for name, found in attributes.items() if profile in (found.get("profiles") or []))))
        # Text with a meaning that no schema language knows: the version of the schema.
        schema["properties"]["class_uid"] = {"const": described.get("uid", 0)}
    if rules:
        schema["allOf"] = rules
    return schema


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        export = json.load(file)
    types = export["dictionary"]["types"]["attributes"]
    defs = {name: thing(export["classes"][name], types, is_class=True) for name in CLASSES}
    for name in OBJECTS:
        # "object" is the one without attributes: whatever a source has beside.
        defs[name] = {"type": "object"} if name == "object" else thing(export["objects"][name], types)
    metadata = defs["metadata"]["properties"]
    metadata["version"] = {"const": export["version"]}
    metadata["profiles"] = {"type": "array", "items": {"enum": sorted(export["profiles"])}, "uniqueItems": True}
    print("{")
    print('"$schema": "https://json-schema.org/draft/2020-12/schema",')
    print(f'"$comment": "OCSF {export["version"]}, Apache-2.0; made by reduce.py",')
    print('"type": "object", "required": ["class_uid"],')
    choices = [
        {"if": {"properties": {"class_uid": {"const": export["classes"][name].get("uid", 0)}}}, "then": {"$ref": f"#/$defs/{name}"}}
        for name in CLASSES
    ]
    uids = sorted(export["classes"][name].get("uid", 0) for name in CLASSES)
    print(f'"properties": {{"class_uid": {{"enum": {uids}}}}},')
    print(f'"allOf": {json.dumps(choices)},')
    print('"$defs": {')
    print(",\n".join(f'"{name}": {json.dumps(schema, separators=(",", ":"))}' for name, schema in sorted(defs.items())))
    print("}}")


main()
