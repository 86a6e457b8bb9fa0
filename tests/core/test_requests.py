"""What a request says of its upload."""

from wherry.core.requests import id_of_key


def test_the_id_of_a_key_is_that_of_its_owner_alone() -> None:
    assert id_of_key("alice", "k") == id_of_key("alice", "k")
    pairs = [("alice", "k"), ("bob", "k"), ("alice", "l"), ("alic", "ek"), ("", "alicek")]
    ids = {id_of_key(owner, key) for owner, key in pairs}
    assert len(ids) == len(pairs)
    ids |= {id_of_key(owner, key, "t") for owner, key in pairs}
    ids |= {id_of_key("\0t", "k"), id_of_key("t", "k"), id_of_key("alice", "k", "u")}
    assert len(ids) == len(pairs) + 4 + 3
    assert all(len(id_) == 32 and int(id_, 16) >= 0 for id_ in ids)
