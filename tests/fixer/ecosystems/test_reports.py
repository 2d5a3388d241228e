"""Reports as the runners write them (shortened, else as captured), broken ones and hostile ones."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.fixer.ecosystems.names import MAX_NAME
from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.reports import go_printed, read_cases
from soulcaster.fixer.ecosystems.suite import ReportKind

PYTEST = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
failures="1" skipped="1" tests="5" time="0.1" hostname="vm">
<testcase classname="" name="tests.test_a" time="0.000"><error message="collection failure">No module</error></testcase>
<testcase classname="tests.test_b.TestX" name="test_b[1]" file="tests/test_b.py" line="3" time="0.001" />
<testcase classname="tests.test_b.TestX" name="test_b[2]" file="tests/test_b.py" line="3" time="0.001">
<failure message="assert 2 == 1">self</failure></testcase>
<testcase classname="tests.test_b" name="test_c" file="tests/test_b.py" line="5" time="0.001">
<skipped type="pytest.xfail" message="" /></testcase></testsuite></testsuites>"""

NODE = """<?xml version="1.0" encoding="utf-8"?>
<testsuites>
	<testcase name="adds" time="0.006170" classname="test"/>
	<testsuite name="s" time="0.0" disabled="0" errors="0" tests="2" failures="1" skipped="1" hostname="vm">
		<testcase name="inner" time="0.0" classname="test" failure="1 == 2">
			<failure type="testCodeFailure" message="1 == 2">Error</failure>
		</testcase>
		<testcase name="sk" time="0.000347" classname="test"><skipped type="skipped" message="true"/></testcase>
	</testsuite>
	<!-- tests 3 -->
</testsuites>"""

MOCHA = """<testsuite name="Mocha Tests" tests="3" failures="0" errors="1" skipped="1" timestamp="Sun" time="0.006">
<testcase classname="sum" name="is wrong" file="/work/test/sum.js" time="0.001"><failure>3 == 4</failure></testcase>
<testcase classname="sum" name="adds" file="/work/test/sum.js" time="0"/>
<testcase classname="sum" name="later" file="/work/test/sum.js" time="0"><skipped/></testcase>
</testsuite>"""

VITEST = """<?xml version="1.0" encoding="UTF-8" ?>
<testsuites name="vitest tests" tests="2" failures="1" errors="0" time="0.3">
    <testsuite name="sum.test.js" timestamp="2026" hostname="vm" tests="2" failures="1" errors="0" skipped="0" time="0">
        <testcase classname="sum.test.js" name="sum &gt; adds" time="0.002"></testcase>
        <testcase classname="sum.test.js" name="sum &gt; is wrong" time="0.005">
            <failure message="expected 3 to be 4" type="AssertionError">AssertionError</failure>
        </testcase>
    </testsuite>
</testsuites>"""

SUREFIRE = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0.2" name="a.ATest" time="0.06" tests="2">
  <properties><property name="java.version" value="17"/></properties>
  <testcase name="adds" classname="a.ATest" time="0.04"/>
  <testcase name="bad" classname="a.ATest" time="0.0"><error type="java.lang.Error">x</error>
    <system-out><![CDATA[<failure/>]]></system-out></testcase>
</testsuite>"""

JEST = {
    "numFailedTests": 1,
    "testResults": [
        {
            "name": "/work/__tests__/sum.test.js",
            "status": "failed",
            "assertionResults": [
                {"ancestorTitles": ["sum"], "title": "adds", "status": "passed"},
                {"ancestorTitles": ["sum"], "title": "is wrong", "status": "failed"},
                {"ancestorTitles": ["sum"], "title": "later", "status": "pending"},
            ],
        },
        {"name": "/work/__tests__/broken.test.js", "status": "failed", "assertionResults": [], "message": "missing"},
    ],
}

GO: list[dict[str, object]] = [
    {"Action": "start", "Package": "x.test/a"},
    {"Action": "run", "Package": "x.test/a", "Test": "TestA"},
    {"Action": "run", "Package": "x.test/a", "Test": "TestA/one"},
    {"Action": "output", "Package": "x.test/a", "Test": "TestA/one", "Output": "    a_test.go:3: wrong\n"},
    {"Action": "fail", "Package": "x.test/a", "Test": "TestA/one", "Elapsed": 0},
    {"Action": "fail", "Package": "x.test/a", "Test": "TestA", "Elapsed": 0},
    {"Action": "run", "Package": "x.test/a", "Test": "TestB"},
    {"Action": "skip", "Package": "x.test/a", "Test": "TestB", "Elapsed": 0},
    {"Action": "run", "Package": "x.test/a", "Test": "TestHangs"},
    {"Action": "fail", "Package": "x.test/a", "Elapsed": 0.003},
    {"Action": "skip", "Package": "x.test/none", "Elapsed": 0},
    {"ImportPath": "x.test/b", "Action": "build-output", "Output": "b_test.go:3: undefined: B\n"},
    {"ImportPath": "x.test/b", "Action": "build-fail"},
    {"Action": "fail", "Package": "x.test/b", "Elapsed": 0, "FailedBuild": "x.test/b"},
]

CARGO = """\
   Compiling median v0.1.0 (/work)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.35s
     Running unittests src/lib.rs (/home/job/cargo-target/debug/deps/median-0a1b2c3d4e5f6071)

running 3 tests
test tests::adds ... ok
test tests::bad ... FAILED
test tests::panics - should panic ... ok
test tests::slow ... ignored, takes long

     Running tests/it.rs (/home/job/cargo-target/debug/deps/it-0a1b2c3d4e5f6072)

running 1 test
test works ... ok
   Doc-tests median

running 1 test
test src/lib.rs - median (line 5) ... ok
"""

UNITTEST = """\
Found 3 test(s).
test_a (app.tests.T.test_a)
It works. ... ok
test_b (app.tests.T.test_b) ... FAIL
test_c (app.tests.T.test_c) ... skipped 'z'
test_d (app.tests.T.test_d) ... noise of the program
ERROR
"""


def cases(root: Path, kind: ReportKind, *texts: str | bytes) -> dict[str, str] | None:
    for number, text in enumerate(texts):
        (root / f"{number}.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_cases(kind, StrangersFolder(root))
    return None if found is None else dict(found)


def lines(events: Sequence[Mapping[str, object]]) -> str:
    return "".join(f"{json.dumps(event)}\n" for event in events)


def test_pytest(tmp_path: Path) -> None:
    assert cases(tmp_path, "junit", PYTEST) == {
        "tests.test_a": "failed",
        "tests/test_b.py::TestX::test_b[1]": "passed",
        "tests/test_b.py::TestX::test_b[2]": "failed",
        "tests/test_b.py::test_c": "skipped",
    }


def test_node(tmp_path: Path) -> None:
    assert cases(tmp_path, "junit", NODE) == {"adds": "passed", "s::inner": "failed", "s::sk": "skipped"}


def test_mocha(tmp_path: Path) -> None:
    assert cases(tmp_path, "junit", MOCHA) == {
        "test/sum.js::sum::is wrong": "failed",
        "test/sum.js::sum::adds": "passed",
        "test/sum.js::sum::later": "skipped",
    }


def test_vitest(tmp_path: Path) -> None:
    assert cases(tmp_path, "junit", VITEST) == {
        "sum.test.js::sum > adds": "passed",
        "sum.test.js::sum > is wrong": "failed",
    }


def test_surefire_in_several_files(tmp_path: Path) -> None:
    other = SUREFIRE.replace("ATest", "BTest")
    found = cases(tmp_path, "junit", SUREFIRE, other)
    assert found == {
        "a.ATest::adds": "passed",
        "a.ATest::bad": "failed",
        "a.BTest::adds": "passed",
        "a.BTest::bad": "failed",
    }


def test_jest_and_a_file_that_cannot_run(tmp_path: Path) -> None:
    assert cases(tmp_path, "jest", json.dumps(JEST)) == {
        "__tests__/sum.test.js::sum > adds": "passed",
        "__tests__/sum.test.js::sum > is wrong": "failed",
        "__tests__/sum.test.js::sum > later": "skipped",
        "__tests__/broken.test.js::(file)": "failed",
    }


def test_go_with_a_test_that_never_ended_and_a_package_that_does_not_compile(tmp_path: Path) -> None:
    assert cases(tmp_path, "go", lines(GO[:3]) + "FAIL printed between\n" + lines(GO[3:])) == {
        "x.test/a::TestA": "failed",
        "x.test/a::TestA/one": "failed",
        "x.test/a::TestB": "skipped",
        "x.test/a::TestHangs": "failed",
        "x.test/b::(package)": "failed",
    }
    assert go_printed(StrangersFolder(tmp_path)) == "    a_test.go:3: wrong\nb_test.go:3: undefined: B\n"


def test_cargo(tmp_path: Path) -> None:
    assert cases(tmp_path, "cargo", CARGO) == {
        "median src/lib.rs > tests::adds": "passed",
        "median src/lib.rs > tests::bad": "failed",
        "median src/lib.rs > tests::panics": "passed",
        "median src/lib.rs > tests::slow": "skipped",
        "it tests/it.rs > works": "passed",
        "median documentation > src/lib.rs - median (line 5)": "passed",
    }


def test_unittest(tmp_path: Path) -> None:
    assert cases(tmp_path, "unittest", UNITTEST) == {
        "app.tests.T::test_a": "passed",
        "app.tests.T::test_b": "failed",
        "app.tests.T::test_c": "skipped",
        "app.tests.T::test_d": "failed",
    }


def test_of_equal_names_the_failed_one_counts(tmp_path: Path) -> None:
    report = '<testsuite><testcase name="a"/><testcase name="a"><failure/></testcase><testcase name="a"/></testsuite>'
    assert cases(tmp_path, "junit", report) == {"a": "failed"}


def test_a_name_is_one_line_without_what_nobody_sees(tmp_path: Path) -> None:
    hidden = '<testsuite><testcase name="a&#10;b\u202e\u200bc" classname="d"/><testcase name="%s"/></testsuite>' % (
        "x" * 5000
    )
    found = cases(tmp_path, "junit", hidden)
    assert found is not None
    assert "d::a bc" in found
    assert max(map(len, found)) <= MAX_NAME


@pytest.mark.parametrize("kind", ["junit", "go", "jest", "cargo", "unittest"])
def test_no_report_is_no_result(tmp_path: Path, kind: ReportKind) -> None:
    assert cases(tmp_path, kind) is None
    assert read_cases(kind, StrangersFolder(tmp_path / "missing")) is None


ENTITIES = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>'


@pytest.mark.parametrize(
    "report",
    [
        "",
        "<testsuite>",
        "not XML",
        ENTITIES,
        '<!DOCTYPE a [<!ENTITY x "y">]><testsuite><testcase name="&x;"/></testsuite>',
        ENTITIES.encode("utf-16"),
        '<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>',
        "<a>" * 50_000,
        b"\xff\x00",
    ],
)
def test_broken_and_hostile_xml_is_no_result(tmp_path: Path, report: str | bytes) -> None:
    assert cases(tmp_path, "junit", report) is None


def test_xml_of_any_depth_is_read(tmp_path: Path) -> None:
    deep = "<testsuite>" * 5_000 + '<testcase name="a"/>' + "</testsuite>" * 5_000
    assert cases(tmp_path, "junit", deep) == {"a": "passed"}


def test_a_link_to_a_report_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.xml").write_text(SUREFIRE)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "a.xml").symlink_to(tmp_path / "outside.xml")
    assert read_cases("junit", StrangersFolder(tmp_path / "reports")) is None


@pytest.mark.parametrize("report", ["{}", "[]", '{"testResults": {}}', "{", "[" * 100_000])
def test_json_that_is_not_jests_is_no_result(tmp_path: Path, report: str) -> None:
    assert cases(tmp_path, "jest", report) is None


KINDS: list[ReportKind] = ["junit", "go", "jest", "cargo", "unittest"]
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["testResults", "name", "assertionResults", "status", "Action", "Package", "Test"]), inner
        )
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_report_makes_reading_raise(tmp_path: Path, kind: ReportKind, report: bytes) -> None:
    found = cases(tmp_path, kind, report)
    assert found is None or set(found.values()) <= {"passed", "failed", "skipped"}
