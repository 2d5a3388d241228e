"""Stack traces of many languages: the fault and the application's own frames stay."""

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.text.frames import read_frame
from soulcaster.domain.text.traces import FRAMES, without_frames

OURS = {
    "Dart": ("#0      Api.get (package:shop/api.dart:42:14)", "Api.get api.dart"),
    "JavaScript": ("    at Api.get (https://shop.example/src/api.js:42:14)", "Api.get api.js"),
    "JavaScript, a module": ("    at Object.<anonymous> (/srv/app/cart.js:12:3)", "Object cart.js"),
    "JavaScript without a name": ("    at /srv/app/cart.js:12:3", "cart.js"),
    "Firefox": ("total@https://shop.example/app.js:42:14", "total app.js"),
    "Hermes": ("    at total (address at index.android.bundle:1:123456)", "total index.android.bundle"),
    "React": ("    in CartView (created by App)", "CartView"),
    "Deno": ("    at async file:///app/src/cart.ts:42:14", "cart.ts"),
    "Java": ("\tat com.shop.Api.load(Api.java:44)", "com.shop.Api.load Api.java"),
    "Java with a jar": ("\tat com.shop.Api.load(Api.java:44) ~[shop.jar:1.2]", "com.shop.Api.load Api.java"),
    "Kotlin": ("\tat com.shop.CartKt$total$1.invoke(Cart.kt:9)", "com.shop.CartKt$total$1.invoke Cart.kt"),
    "Python": ('  File "/srv/shop/api.py", line 44, in load_home', "load_home api.py"),
    "C#": (r"   at Shop.Cart.Total(Int32 n) in C:\src\Shop\Cart.cs:line 42", "Shop.Cart.Total Cart.cs"),
    "C# without files": ("   at Shop.Cart.Total(Int32 n)", "Shop.Cart.Total"),
    "Mono": ("  at Shop.Cart.Total (System.Int32 n) [0x00012] in /builds/Cart.cs:42", "Shop.Cart.Total Cart.cs"),
    "Unity": ("Shop.Cart.Total () (at Assets/Scripts/Cart.cs:42)", "Shop.Cart.Total Cart.cs"),
    "Swift": ("0   Shop      0x0000000100a3c2f4 Shop.Cart.total() + 124", "Shop Shop.Cart.total"),
    "gdb": ("#1  0x0000555555554744 in total (n=3) at cart.c:42", "total cart.c"),
    "PHP": (r"#3 /srv/app/Cart.php(42): Shop\Cart->total('x', 3)", r"Shop\Cart->total Cart.php"),
    "Ruby": ("\tfrom app/models/cart.rb:42:in 'Cart#total'", "Cart#total cart.rb"),
    "Ruby 3.3": ("app/models/cart.rb:42:in `total'", "total cart.rb"),
    "Elixir": ("    (shop 0.1.0) lib/shop/cart.ex:12: Shop.Cart.total/1", "Shop.Cart.total/1 cart.ex"),
    "Erlang": (' {shop_cart,total,2,[{file,"src/shop_cart.erl"},{line,42}]},', "shop_cart.erl"),
    "Lua": ("\tcart.lua:42: in function 'total'", "total cart.lua"),
    "Perl": ("\tmain::total(3) called at cart.pl line 42", "main::total cart.pl"),
    "OCaml": ('Called from Shop.total in file "src/cart.ml", line 42, characters 12-30', "Shop.total cart.ml"),
    "Haskell": ("  error, called at src/Cart.hs:42:12 in main:Shop.Cart", "main:Shop.Cart Cart.hs"),
    "PowerShell": (r"At C:\scripts\cart.ps1:42 char:5", "At cart.ps1"),
    "Node, a bundle": ("    at t.total (webpack:///src/cart.vue?1a2b:42:7)", "t.total cart.vue"),
}  # fmt: skip

THEIRS = [
    "#2      StatelessElement.build (package:flutter/src/widgets/framework.dart:5687:49)",
    "#10     _rootRun (dart:async/zone.dart:1399:13)",
    "    at performWork (https://shop.example/node_modules/react-dom/index.js:100:15)",
    "    at Array.map (<anonymous>)",
    "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "\tat java.lang.reflect.Method.invoke(Native Method)",
    "\tat android.os.Looper.loopOnce(Looper.java:201)",
    '  File "/usr/lib/python3/site-packages/flask/app.py", line 1473, in wsgi_app',
    "   at System.Linq.Enumerable.Single[TSource](IEnumerable`1 source)",
    "UnityEngine.EventSystems.ExecuteEvents.Execute[T] (T target) (at Library/PackageCache/ugui/ExecuteEvents.cs:262)",
    "1   UIKitCore   0x00000001a1b2c3d4 -[UIApplication sendAction:to:from:forEvent:] + 100",
    "#0 0x00007ffff7a42428 in raise () from /lib/libc.so.6",
    "\tfrom /usr/lib/ruby/gems/3.2.0/gems/rack-2/lib/rack.rb:12:in `block in call'",
    "    (phoenix 1.7.1) lib/phoenix/router.ex:425: Phoenix.Router.__call__/5",
]

NO_FRAMES = [
    "src/a.c:12:5: error: expected ';' before '}' token",
    "12:30:45 INFO server.py:44 started the thing",
    "ERROR [worker-1] com.shop.Api - failed (Api.java:44)",
    "at example.com:8080 it hangs",
    "at 10:30 it hangs",
    "from 10:30 to 12:40",
    "at the end it stops (always)",
    "I see this at home (always)",
    "It fails in src/app.py:12 when I click",
    "Error at line 12",
    "in version 1.2.3:4 it broke",
    "TypeError: x is undefined",
    "KeyError: 'price' (app.py:12)",
    "Caused by: com.bank.Gone: it is gone",
    "thread 'main' panicked at src/api.rs:44:13:",
    "#123 is the same",
    "#12 fixed",
    "1: I open the app",
]


@pytest.mark.parametrize(("line", "kept"), OURS.values(), ids=OURS)
def test_a_frame_is_known_by_its_shape(line: str, kept: str) -> None:
    frame = read_frame(line)
    assert frame is not None
    assert (frame.text, frame.is_ours) == (kept, True)


@pytest.mark.parametrize("line", THEIRS)
def test_frames_of_runtimes_and_packages_are_not_ours(line: str) -> None:
    frame = read_frame(line)
    assert frame is not None
    assert not frame.is_ours


@pytest.mark.parametrize("line", NO_FRAMES)
def test_a_sentence_with_a_place_is_no_frame(line: str) -> None:
    assert read_frame(line) is None
    assert without_frames([line]) == [line]


def _lines(text: str) -> list[str]:
    return dedent(text).strip("\n").split("\n")


TRACES = {
    "Go prints a frame on two lines": (
        """
        panic: host not found

        goroutine 1 [running]:
        main.load_home(0x4c000012345)
        \t/src/shop/api.go:44 +0x1d
        net/http.HandlerFunc.ServeHTTP(0xc0000b4000, {0x7f1, 0xc000})
        \t/usr/local/go/src/net/http/server.go:2220 +0x29
        created by net/http.(*Server).Serve in goroutine 1
        \t/usr/local/go/src/net/http/server.go:3360 +0x485
        exit status 2
        """,
        ["panic: host not found", "", "main.load_home api.go", "exit status 2"],
    ),
    "Rust prints a frame on two lines": (
        """
        thread 'main' panicked at src/api.rs:44:13:
        host not found
        stack backtrace:
           0: rust_begin_unwind
                     at /rustc/90b35a6239c3d8bd/library/std/src/panicking.rs:692:5
           1: shop::api::load_home
                     at ./src/api.rs:44:13
           2: tokio::runtime::task::raw::poll
                     at /root/.cargo/registry/tokio-1.40/src/runtime/task/raw.rs:271:5
        """,
        ["thread 'main' panicked at src/api.rs:44:13:", "host not found", "shop::api::load_home api.rs"],
    ),
    "Julia prints a frame on two lines": (
        """
        ERROR: KeyError: key 3 not found
        Stacktrace:
         [1] total(x::Int64)
           @ Main ./cart.jl:42
         [2] run(f::Function)
           @ Base /usr/share/julia/base/run.jl:3
        """,
        ["ERROR: KeyError: key 3 not found", "total cart.jl"],
    ),
    "each exception of a group stays": (
        """
          + Exception Group Traceback (most recent call last):
          |   File "/srv/app/main.py", line 5, in main
          |     async with TaskGroup():
          | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
          +-+---------------- 1 ----------------
            | Traceback (most recent call last):
            |   File "/srv/app/total.py", line 10, in total
            |     return d["price"]
            |            ~^^^^^^^^^
            | KeyError: 'price'
            +---------------- 2 ----------------
            | Traceback (most recent call last):
            |   File "/srv/app/db.py", line 10, in connect
            |     raise ConnectionError("db down")
            | ConnectionError: db down
            +------------------------------------
        """,
        [
            "main main.py",
            "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)",
            "total total.py",
            "KeyError: 'price'",
            "connect db.py",
            "ConnectionError: db down",
        ],
    ),
    "each cause of a chain stays": (
        """
        Error: no cart
            at load (/srv/app/cart.js:3:1)
            at main (/srv/app/main.js:3:1) {
          [cause]: AggregateError: all failed
              at both (/srv/app/both.js:3:1) {
            [errors]: [ Error: first, Error: second ]
        """,
        [
            "Error: no cart",
            "load cart.js",
            "main main.js",
            "  [cause]: AggregateError: all failed",
            "both both.js",
            "    [errors]: [ Error: first, Error: second ]",
        ],
    ),
    "an older Ruby prints the newest last": (
        """
        Traceback (most recent call last):
        \t2: from app/main.rb:1:in `<main>'
        \t1: from app/cart.rb:9:in `each'
        app/cart.rb:12:in `total': no price (NoMethodError)
        """,
        ["main.rb", "each cart.rb", "app/cart.rb:12:in `total': no price (NoMethodError)"],
    ),
    "what calls itself is kept once": (
        """
        RecursionError: maximum recursion depth exceeded
            at deeper (/srv/app/deep.js:3:1)
            at deeper (/srv/app/deep.js:3:1)
            at deeper (/srv/app/deep.js:3:1)
            at main (/srv/app/main.js:3:1)
            ... 991 more frames
        """,
        ["RecursionError: maximum recursion depth exceeded", "deeper deep.js", "main main.js"],
    ),
    "places without a mark are frames side by side only": (
        """
        I looked at
        src/app.py:12
        and there is
        src/app.py:14
        src/lib.py:10
        """,
        ["I looked at", "src/app.py:12", "and there is", "app.py", "lib.py"],
    ),
    "steps are no frames": (
        """
        Steps:
        1: Open_file
        2: Click save
        """,
        ["Steps:", "1: Open_file", "2: Click save"],
    ),
}


@pytest.mark.parametrize(("text", "kept"), TRACES.values(), ids=TRACES)
def test_of_a_trace_the_fault_and_our_own_frames_stay(text: str, kept: list[str]) -> None:
    assert without_frames(_lines(text)) == kept


frame_lines = st.sampled_from([line for line, _ in OURS.values()] + THEIRS)
sentences = st.sampled_from(NO_FRAMES)


@given(st.lists(frame_lines, min_size=1, max_size=40), sentences, sentences)
def test_what_is_no_frame_stays_and_few_frames_do(trace: list[str], before: str, after: str) -> None:
    kept = without_frames([before, *trace, after])
    assert kept[0] == before
    assert kept[-1] == after
    assert 1 <= len(kept) - 2 <= FRAMES


@given(st.lists(st.text(max_size=80) | frame_lines | sentences, max_size=20))
def test_any_lines_are_read(lines: list[str]) -> None:
    kept = without_frames(lines)
    assert len(kept) <= len(lines)
    if not any(read_frame(line) for line in lines) and "Exception Group" not in "".join(lines):
        assert set(kept) <= set(lines)
