"""Any JSON there is, for hypothesis."""

from hypothesis import strategies as st

text = st.text(st.characters(), max_size=40)  # surrogates too: json.dumps escapes them
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
