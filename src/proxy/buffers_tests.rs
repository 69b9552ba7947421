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
