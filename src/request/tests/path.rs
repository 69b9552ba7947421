use crate::request::{Escapes, PathError, PathParams, Strictness, canonical_path};
use std::borrow::Cow;

fn strict(path: &str) -> Result<Cow<'_, str>, PathError> {
    canonical_path(path, &Strictness::default())
}

#[test]
fn canonical_paths_are_borrowed() {
    for path in ["/", "/a", "/a/", "/a/b.c", "/a/%20b", "/caf%C3%A9", "/.well-known/x", "/...", "/a..b/c.", "/~u/@x:1", "/a!$&'()*+,=b"] {
        assert!(matches!(strict(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
    }
}

#[test]
fn each_path_has_one_spelling() {
    let table = [
        ("/%61dmin/x", "/admin/x"),
        ("/users/%40admin", "/users/@admin"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%2a%2A", "/a**"),
        ("/a%2eb", "/a.b"),
        ("/%7euser/%5b1%5d", "/~user/%5B1%5D"),
        ("/[id]", "/%5Bid%5D"),
        ("/%e2%82%ac/%f0%9f%98%80", "/%E2%82%AC/%F0%9F%98%80"),
        ("/a%20b%3c", "/a%20b%3C"),
    ];
    for (path, canonical) in table {
        assert_eq!(strict(path).as_deref(), Ok(canonical), "{path}");
    }
}

#[test]
fn ambiguous_paths_are_refused() {
    use PathError::*;
    let table = [
        ("", NotAbsolute),
        ("a", NotAbsolute),
        ("*", NotAbsolute),
        ("//", EmptySegment),
        ("//admin", EmptySegment),
        ("/a//", EmptySegment),
        ("/a//b", EmptySegment),
        ("/.", DotSegment),
        ("/..", DotSegment),
        ("/public/../admin", DotSegment),
        ("/a/./b", DotSegment),
        ("/a/..", DotSegment),
        ("/%2e%2e/a", DotSegment),
        ("/.%2E", DotSegment),
        ("/user/..;a=b/admin", DotSegment),
        ("/admin;x=y/z", Params),
        ("/admin;", Params),
        ("/;", Params),
        ("/a\\b", Byte),
        ("/a b", Byte),
        ("/a\"b", Byte),
        ("/<", Byte),
        ("/^", Byte),
        ("/`", Byte),
        ("/{x}", Byte),
        ("/a|b", Byte),
        ("/a#b", Byte),
        ("/a?b", Byte),
        ("/\u{e9}", Byte),
        ("/\u{7f}", Byte),
        ("/%", InvalidEscape),
        ("/%4", InvalidEscape),
        ("/%zz", InvalidEscape),
        ("/%+1", InvalidEscape),
        ("/%00", ForbiddenEscape),
        ("/%1f", ForbiddenEscape),
        ("/%7F", ForbiddenEscape),
        ("/admin%2fx", ForbiddenEscape),
        ("/admin%5Cx", ForbiddenEscape),
        ("/%252e", ForbiddenEscape),
        ("/%3b", ForbiddenEscape),
        ("/%3F", ForbiddenEscape),
        ("/%23", ForbiddenEscape),
        ("/%ff", Utf8),
        ("/%c3", Utf8),
        ("/%c3a", Utf8),
        ("/%c0%af", Utf8),
        ("/%ed%a0%80", Utf8),
        ("/%e2%82", Utf8),
        ("/%c3%4", InvalidEscape),
    ];
    for (path, error) in table {
        assert_eq!(strict(path), Err(error), "{path:?}");
    }
}

#[test]
fn opaque_escapes_stay_and_hide_no_dots() {
    let opaque = Strictness { escapes: Escapes::Opaque, ..Strictness::default() };
    assert_eq!(canonical_path("/a%2fb%25c", &opaque).as_deref(), Ok("/a%2Fb%25c"));
    assert_eq!(canonical_path("/a%2f%2e%2e%2fb", &opaque), Err(PathError::DotSegment));
    assert_eq!(canonical_path("/a%5cb", &opaque), Err(PathError::ForbiddenEscape));
}

#[test]
fn allowed_parameters_hide_no_dots_and_no_empty_segment() {
    let params = Strictness { path_params: PathParams::Allow, ..Strictness::default() };
    assert_eq!(canonical_path("/a;x=1/b;", &params).as_deref(), Ok("/a;x=1/b;"));
    assert_eq!(canonical_path("/..;a=b/admin", &params), Err(PathError::DotSegment));
    assert_eq!(canonical_path("/;x/admin", &params), Err(PathError::EmptySegment));
    assert_eq!(canonical_path("/a%3bx", &params), Err(PathError::ForbiddenEscape));
}
