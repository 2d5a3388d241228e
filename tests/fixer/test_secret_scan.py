import pytest

from soulcaster.domain.fixes.patch import BinaryChange, ChangeKind, Content, FileChange, Patch
from soulcaster.fixer.secret_scan import FoundSecret, scan

GITHUB = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
STRIPE = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
SLACK = "xoxb-" + "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"


def patch(path: str, *lines: str, removed: tuple[str, ...] = ()) -> Patch:
    body = "".join([*(f"-{line}\n" for line in removed), *(f"+{line}\n" for line in lines)])
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -7,{len(removed)} +7,{len(lines)} @@\n"
    change = FileChange(path, "modified", "100644", "100644", len(lines), len(removed), path)
    return Patch((head + body).encode(), (change,))


async def test_secrets_are_named_by_rule_and_place_and_never_shown() -> None:
    found = await scan(patch("a.py", "import os", f'token = "{GITHUB}"', "x = 1", f'slack = "{SLACK}"'))
    assert [(one.path, one.line) for one in found] == [("a.py", 8), ("a.py", 10)]
    assert all(secret not in str(one) for one in found for secret in (GITHUB, SLACK))


async def test_what_only_gitleaks_knows_is_found() -> None:
    found = await scan(patch("a.py", 'api_key = "zX9qR2vT7bN4mK8pL3wY6sD1fG5hJ0aC"'))
    assert found == (FoundSecret("a.py", 7, "generic-api-key"),)


async def test_a_comment_that_allows_a_secret_allows_nothing() -> None:
    assert await scan(patch("a.py", f'key = "{STRIPE}"  # gitleaks:allow'))


async def test_a_private_key_over_several_lines_is_found() -> None:
    lines = ("-----BEGIN RSA PRIVATE KEY-----", "MIIEowIBAAKCAQEA" + "Zk3f" * 12, "-----END RSA PRIVATE KEY-----")
    assert (await scan(patch("key.txt", *lines)))[0].line == 7


@pytest.mark.parametrize(
    "data",
    [
        f'{{"token": "{GITHUB}"}}\n\0'.encode(),
        f"x\0{GITHUB}\0y".encode(),
        f"token {GITHUB}\n".encode("utf-16"),
        f"token {GITHUB}\n".encode("utf-16-be"),
        f"token {GITHUB}\n".encode("utf-32-le"),
        b"\xff\xfe" + f"token {GITHUB}\n\0".encode(),
        'api_key = "zX9qR2vT7bN4mK8pL3wY6sD1fG5hJ0aC"'.encode("utf-16"),
    ],
)
async def test_a_secret_in_a_file_that_git_takes_for_binary_is_found(data: bytes) -> None:
    def binary(before: bytes | None) -> Patch:
        both = BinaryChange(None if before is None else Content(len(before), before), Content(len(data), data))
        return Patch(b"diff --git \n", (FileChange("a", "modified", "100644", "100644", None, None, "a", both),))

    assert {one.path for one in await scan(binary(None))} == {"a"}
    assert await scan(binary(data + b"\n\0more")) == ()


@pytest.mark.parametrize("path", [f"{GITHUB}.py", f"docs/{STRIPE}/a.md", f"{GITHUB}\udcff", f"{SLACK}"])
async def test_a_secret_that_is_the_name_of_a_new_file_is_found_and_not_shown(path: str) -> None:
    def change(kind: ChangeKind) -> Patch:
        return Patch(b"diff --git \n", (FileChange(path, kind, "000000", "100644", 0, 0, path),))

    [found] = await scan(change("added"))
    assert "name of a new file" in str(found)
    assert all(secret not in str(found) for secret in (GITHUB, STRIPE, SLACK))
    assert await scan(change("deleted")) == ()


async def test_ordinary_code_and_moved_lines_are_no_secrets() -> None:
    code = ("token = settings.token_of_request", "password=get_password(user)", "url = 'http://localhost:80'")
    assert await scan(patch("a.py", *code)) == ()
    assert await scan(patch("a.py", f'    t = "{GITHUB}"', removed=(f't = "{GITHUB}"',))) == ()
