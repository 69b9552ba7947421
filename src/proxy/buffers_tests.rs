use super::*;

#[test]
fn below_the_limit_nothing_is_given_up() {
    let buffers = Buffers::new(1_000);
    assert_eq!(buffers.exchange(0, 400), 0);
    assert_eq!(buffers.exchange(0, 600), 0);
    assert_eq!((buffers.held(), buffers.are_short()), (1_000, true));
    assert_eq!(buffers.exchange(400, 0), 0);
    assert_eq!((buffers.held(), buffers.are_short()), (600, false));
}

#[test]
fn above_it_each_shard_gives_up_its_part() {
    let buffers = Buffers::new(1_000);
    assert_eq!(buffers.exchange(0, 500), 0);
    // 2,000 held; 1,250 too many to be at ease, three quarters of them here.
    assert_eq!(buffers.exchange(0, 1_500), 937);
    assert_eq!(buffers.exchange(500, 500), 312);
}

#[test]
fn what_was_read_ahead_is_a_piece_or_a_window_of_them() {
    assert_eq!(read_ahead(0, 8_192), 8_192);
    assert_eq!(read_ahead(65_536, 16_384), 65_536 + 4 * FRAME);
    // Small messages cost more than their bytes; so does what cannot be: a piece of nothing.
    assert_eq!(read_ahead(65_536, 64), 65_536 + 1_024 * FRAME);
    assert_eq!(read_ahead(65_536, 0), 65_536 + 65_536 * FRAME);
}
