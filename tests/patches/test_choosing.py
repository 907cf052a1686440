import numpy as np

from napari_nic.patches.choosing import choose_balanced, choose_with_neighbours


def test_classes_share_the_cap_and_what_one_lacks_goes_to_the_others():
    kinds = np.repeat([0, 1, 2], [500, 5, 500])
    chosen = choose_balanced(kinds, 100, np.random.default_rng(0))
    counts = np.bincount(kinds[chosen])
    assert counts[1] == 5
    assert counts.sum() == 100
    assert abs(counts[0] - counts[2]) <= 1
    assert len(choose_balanced(kinds[:0], 100, np.random.default_rng(0))) == 0
    assert len(choose_balanced(kinds, 5000, np.random.default_rng(0))) == len(kinds)


def test_every_chosen_cell_has_a_chosen_neighbour_where_there_is_one():
    cells = np.argwhere(np.ones((40, 40), bool))
    lonely = np.array([[100, 100]])
    candidates = np.concatenate([cells, lonely])
    for seed in range(5):
        chosen = choose_with_neighbours(candidates, 60, np.random.default_rng(seed))
        assert len(chosen) == len(set(chosen)) == 60
        picked = candidates[chosen]
        distance = np.abs(picked[:, None] - picked[None]).sum(-1)
        alone = (distance == 1).sum(1) == 0
        # The last one may have no room left for a neighbour, and one cell has none.
        assert alone.sum() <= 1 + (picked == 100).all(1).any()


def test_all_are_chosen_below_the_cap_and_the_cap_is_kept():
    cells = np.argwhere(np.ones((3, 3), bool))
    assert choose_with_neighbours(cells, 9, np.random.default_rng(0)).tolist() == list(range(9))
    assert len(choose_with_neighbours(cells, 1, np.random.default_rng(0))) == 1
