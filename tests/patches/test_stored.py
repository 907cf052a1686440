import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError

SQUARE = [(row, col) for row in range(4) for col in range(4)]
APART = [(0, 0), (0, 2), (2, 0), (2, 2)]


def seeded(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("memory", [None, 0])
def test_classes_come_at_equal_chance_however_rare(make_store, numbers, memory):
    store = make_store({"g/1": (SQUARE, "many"), "h/2": ([(0, 0)], "few"), "h/3": ([(5, 5)], "some")})
    source = store.source(memory_bytes=memory)
    assert source.in_memory == (memory is None)
    batch = source.draw(600, seeded())
    assert batch.images.shape == (600, 8, 8, 3)
    assert batch.labels.dtype == np.int64
    assert (np.bincount(batch.labels) > 150).all()
    assert (store.labels[numbers(batch.images)] == batch.labels).all()
    assert len(set(numbers(batch.images))) == len(store)


def test_the_same_generator_draws_the_same_from_memory_and_from_disk(make_store):
    store = make_store({"g/1": (SQUARE, "a"), "h/2": (APART, "b")})
    memory, disk = store.source(), store.source(memory_bytes=0)
    one, two, other = memory.draw(40, seeded(1)), disk.draw(40, seeded(1)), memory.draw(40, seeded(2))
    assert np.array_equal(one.images, two.images)
    assert np.array_equal(one.labels, two.labels)
    assert not np.array_equal(one.images, other.images)
    pairs, same_pairs = memory.draw_pairs(40, seeded(1)), disk.draw_pairs(40, seeded(1))
    assert np.array_equal(pairs.second, same_pairs.second)


def test_a_set_is_labelled_if_all_of_it_is(make_store, numbers):
    store = make_store({"g/1": (SQUARE, "a"), "h/2": (APART, None)})
    everything = store.source()
    assert everything.class_names == ()
    assert everything.draw(4, seeded()).labels is None
    labelled = store.source(np.flatnonzero(store.labels >= 0))
    assert labelled.class_names == ("a",)
    assert set(numbers(labelled.draw(200, seeded()).images)) == set(range(16))


def test_a_part_without_some_class_keeps_the_numbers_of_the_others(make_store):
    store = make_store({"g/1": (APART, "a"), "h/2": (APART, "b"), "h/3": (APART, "c")})
    part = store.source(np.flatnonzero(store.labels != 1))
    assert part.class_names == ("a", "b", "c")
    assert set(part.draw(50, seeded()).labels.tolist()) == {0, 2}


def kinds_of_pairs(store, source, numbers, count=2000):
    pairs = source.draw_pairs(count, seeded())
    first, second = numbers(pairs.first), numbers(pairs.second)
    other = store.groups[first] != store.groups[second]
    distance = np.abs(store.cells[first] - store.cells[second]).sum(axis=1)
    beside = (store.source_index[first] == store.source_index[second]) & (distance == 1)
    assert (first[pairs.same] == second[pairs.same]).all()
    assert (beside ^ other)[~pairs.same].all()
    return pairs.same.mean(), beside[~pairs.same].mean()


def test_pairs_are_the_same_half_the_time_and_else_beside_or_of_another_group(make_store, numbers):
    # Most patches of the third source have no neighbour: the shares must hold all the same.
    store = make_store({"g/1": (SQUARE, None), "g/2": (SQUARE, None), "h/3": (APART * 3, None)})
    same, adjacent = kinds_of_pairs(store, store.source(), numbers)
    assert 0.46 < same < 0.54
    assert 0.70 < adjacent < 0.80


def test_every_neighbour_is_drawn(make_store, numbers):
    store = make_store({"g/1": ([(1, 1), (0, 1), (2, 1), (1, 0), (1, 2), (2, 2)], None)})
    pairs = store.source().draw_pairs(500, seeded())
    first, second = numbers(pairs.first), numbers(pairs.second)
    assert set(second[(first == 0) & ~pairs.same]) == {1, 2, 3, 4}


def test_a_selection_has_only_its_own_neighbours(make_store, numbers):
    store = make_store({"g/1": ([(0, 0), (0, 1), (0, 2)], None), "h/2": ([(0, 0), (0, 1)], None)})
    pairs = store.source([0, 1, 3]).draw_pairs(300, seeded())
    assert set(numbers(pairs.first)) | set(numbers(pairs.second)) == {0, 1, 3}


def test_without_neighbours_or_other_groups_the_other_kind_takes_the_place(make_store, numbers):
    apart = make_store({"g/1": (APART, None), "h/2": (APART, None)})
    assert kinds_of_pairs(apart, apart.source(), numbers)[1] == 0
    alone = make_store({"g/1": (SQUARE, None)})
    assert kinds_of_pairs(alone, alone.source(), numbers)[1] == 1


def test_no_different_places_at_all_are_an_error(make_store):
    store = make_store({"g/1": (APART, None)})
    with pytest.raises(InvalidParameterError, match="4 patches apart"):
        store.source().draw_pairs(2, seeded())
    with pytest.raises(InvalidParameterError, match="empty selection"):
        store.source([])


@pytest.mark.parametrize("kinds", [("a", "b"), ("a", None)])
def test_what_is_drawn_can_be_read_again_by_its_number(make_store, kinds):
    source = make_store({"g/1": (SQUARE, kinds[0]), "h/2": (APART, kinds[1])}).source(np.arange(3, 18))
    batch = source.draw(40, seeded(1))
    assert np.array_equal(source.read(batch.numbers), batch.images)
    assert set(batch.numbers) <= set(range(len(source)))
