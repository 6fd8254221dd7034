"""The command line: what is wrong with it is told in one line that says what was expected."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.onnx_session import CPU
from ops.passport import keys
from serving.settings import SIGNATURE, TOKEN, Inherited, Settings, parse

SECRET = "0123456789abcdef"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.delenv(SIGNATURE, raising=False)


def test_defaults_are_the_settings_own() -> None:
    settings, inherited = parse(["packages/detection"])
    assert settings == Settings({"detection": Path("packages/detection").absolute()})
    assert (settings.host, settings.provider, inherited) == ("127.0.0.1", CPU, None)


def test_every_knob(tmp_path: Path) -> None:
    key = keys.generate(tmp_path / "key")
    words = """a=x b=y --host ::1 --port 0 --allowed-host h
        --threads 3 --instances 2 --provider P --max-batch 5 --max-wait-ms 6.5 
        --queue 7 --deadline-s 8 --body-mb 9 --read-s 10 --requests-mb 10.5
        --max-items 11 --max-pixels 12 --max-characters 13 --max-seconds 19 --max-values 20 --drain-s 14
        --drain-delay-s 15 --watch-s 0 --proof-s 16 --proof-mb 170 --keep k --text-log --fd 9
        --grpc-port 18 --coalesce --workers 4 --no-pin"""
    words += f" --require-signature {key}"
    settings, inherited = parse(words.split())
    expected = Settings(
        {"a": Path("x").absolute(), "b": Path("y").absolute()}, "::1", 0, ("h",), 3, 2, "P", 5, 6.5, 7, 8.0, 9.0, 10.0,
        10.5, {"items": 11, "pixels": 12, "characters": 13, "seconds": 19, "values": 20}, 14.0, 15.0, 0.0, 16.0, 170.0,
        Path("k").absolute(), None, True, (key,), 18, True, False, 4, False,
    )  # fmt: skip
    assert (settings, inherited) == (expected, Inherited(9, None))
    same = Settings({})
    elsewhere = ("token", "measure")  # which the others exclude
    names = [field.name for field in dataclasses.fields(Settings) if field.name not in elsewhere]
    assert [name for name in names if getattr(settings, name) == getattr(same, name)] == []


WRONG = [
    ("", "the following arguments are required: [NAME=]PACKAGE"),
    ("p --nope", "unrecognized arguments: --nope"),
    ("p --port", "argument --port: expected one argument"),
    ("p --port 70000", "argument --port: expected int from 0 to 65535, found '70000'"),
    ("p --port -1", "argument --port: expected int from 0 to 65535, found '-1'"),
    ("p --port http", "argument --port: expected int from 0 to 65535, found 'http'"),
    ("p --port 80.5", "argument --port: expected int from 0 to 65535, found '80.5'"),
    ("p --threads -1", "argument --threads: expected int from 0 to 1024, found '-1'"),
    ("p --instances 0", "argument --instances: expected int from 1 to 64, found '0'"),
    ("p --grpc-port 8080", "--grpc-port is 8080, which --port is already; expected another one"),
    (
        "p --measure --instances 2",
        "--measure chooses --instances and --threads of one worker, on a CPU",
    ),
    ("p --measure --workers 2", "--measure chooses --instances and --threads of one worker, on a CPU"),
    ("p --workers 0", "argument --workers: expected int from 1 to 64, found '0'"),
    ("p --max-batch 0", "argument --max-batch: expected int from 1 to 4096, found '0'"),
    ("p --max-wait-ms -1", "argument --max-wait-ms: expected float from 0 to 10000, found '-1'"),
    ("p --max-wait-ms nan", "argument --max-wait-ms: expected float from 0 to 10000, found 'nan'"),
    ("p --queue 0", "argument --queue: expected int from 1 to 1000000, found '0'"),
    ("p --deadline-s 0", "argument --deadline-s: expected float from 0.001 to 3600, found '0'"),
    ("p --body-mb inf", "argument --body-mb: expected float from 0.001 to 4096, found 'inf'"),
    ("p --read-s 0", "argument --read-s: expected float from 0.1 to 3600, found '0'"),
    ("p --max-items 0", "argument --max-items: expected int from 1 to 65536, found '0'"),
    ("p --max-pixels 0", "argument --max-pixels: expected int from 1 to 10000000000, found '0'"),
    ("p --max-characters 0", "argument --max-characters: expected int from 1 to 1000000000, found '0'"),
    ("p --drain-s -1", "argument --drain-s: expected float from 0 to 3600, found '-1'"),
    ("p --drain-delay-s -1", "argument --drain-delay-s: expected float from 0 to 3600, found '-1'"),
    ("p --watch-s -1", "argument --watch-s: expected float from 0 to 3600, found '-1'"),
    ("p --host=", "--host is empty, which would be all addresses; expected one"),
    ("a/p b/p", "two packages are named 'p'; name one of them: NAME=b/p"),
    ("m=a m=b", "two packages are named 'm'; name one of them: NAME=b"),
    ("../etc=a", "../etc=a: the name '../etc' is not letters, digits, '.', '_' and '-' (at most 64)"),
    (".hidden=a", "the name '.hidden' is not letters"),
    ("ä=a", "the name 'ä' is not letters"),
    (f"{'x' * 65}=a", "is not letters, digits, '.', '_' and '-' (at most 64)"),
    ("=a", "=a: the name '' is not letters"),
    ("/", "/: the name '' is not letters"),
    ("name=", "name=: there is no folder behind the name; expected NAME=PACKAGE"),
    ("p --token-file /does/not/exist", "--token-file /does/not/exist cannot be read"),
    ("p --require-signature /none", "$STILLHOUSE_REQUIRE_SIGNATURE: the key /none cannot be read: No such file"),
    ("p --require-signature /dev/null", "/dev/null is no public key, no certificate and no identity file"),
    ("p --require-signature=", "names no file; expected a public key, or leave it out"),
    ("p --token-file /dev/null", "the token of --token-file or $STILLHOUSE_TOKEN must be 16 or more printable"),
]
"""A command line, and what is told of it."""


def test_what_is_wrong_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in WRONG:
        with pytest.raises(SystemExit) as ended:
            parse(words.split())
        assert ended.value.code == 2, words
        *usage, last = capsys.readouterr().err.strip().splitlines()
        assert usage[0].startswith("usage: python -m serving")
        assert last.startswith("python -m serving: error: ")
        assert told in last, words


@pytest.mark.parametrize("path", ["packages/detection", "packages/detection/", "./packages/x/../detection"])
def test_a_package_is_named_as_its_folder(path: str) -> None:
    assert list(parse([path])[0].packages) == ["detection"]


def test_a_package_behind_a_link_is_named_as_the_link(tmp_path: Path) -> None:
    """The stack's worker puts packages that way: `detection` is a link to `.versions/detection-SEAL`."""
    (tmp_path / "detection").symlink_to(tmp_path / ".versions" / "detection-3e4e5b13b60f")
    assert list(parse([str(tmp_path / "detection")])[0].packages) == ["detection"]


def test_a_path_may_hold_what_a_name_may_not() -> None:
    settings, _ = parse(["m=runs/lr=0.1/x"])
    assert settings.packages == {"m": Path("runs/lr=0.1/x").absolute()}


def test_a_token_from_a_file_goes_before_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, SECRET)
    assert parse(["p"])[0].token == SECRET
    (tmp_path / "token").write_text(f"{SECRET[::-1]}\n")
    settings, _ = parse(["p", "--token-file", str(tmp_path / "token")])
    assert settings.token == SECRET[::-1]
    assert SECRET[::-1] not in repr(settings)


@pytest.mark.parametrize("token", ["", "short", f"{SECRET} {SECRET}", f"{SECRET}ä", f"{SECRET}\n{SECRET}"])
def test_a_weak_token_is_not_repeated(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(SystemExit):
        parse(["p"])
    error = capsys.readouterr().err
    assert "must be 16 or more printable ASCII characters, no space" in error
    assert not token or token not in error


def test_keys_of_the_environment_are_trusted_beside_those_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (keys.generate(tmp_path / name) for name in "abc")
    monkeypatch.setenv(SIGNATURE, f"{second}:{third}")
    assert parse(["p", "--require-signature", str(first)])[0].require_signature == (first, second, third)
    for value, told in {
        "": "names no file",
        f"{second}:": "names no file",
        str(tmp_path / "a"): "a private key",
    }.items():
        monkeypatch.setenv(SIGNATURE, value)  # nobody is to think that signatures are asked for when they are not
        with pytest.raises(SystemExit):
            parse(["p"])
        assert told in capsys.readouterr().err


def test_the_strict_mode_serves_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(["p"])[0].provider == "CPUExecutionProvider"
    monkeypatch.setenv("STILLHOUSE_REQUIRE_GPU", "1")
    assert parse(["p"])[0].provider == "CUDAExecutionProvider"


@pytest.mark.parametrize(
    ("value", "told"),
    [("1", "STILLHOUSE_REQUIRE_GPU=1 demands CUDAExecutionProvider"), ("yes", "STILLHOUSE_REQUIRE_GPU is 'yes'")],
)
def test_the_strict_mode_and_another_provider_are_a_contradiction(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, told: str
) -> None:
    monkeypatch.setenv("STILLHOUSE_REQUIRE_GPU", value)
    with pytest.raises(SystemExit):
        parse(["p", "--provider", "CPUExecutionProvider"])
    assert told in capsys.readouterr().err
