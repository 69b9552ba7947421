//! The choice of an endpoint.

use super::Address;

/// The order in which endpoints are tried: the less loaded of two random ones first, then the others.
pub fn order(endpoints: &[Address], load: impl Fn(&Address) -> usize) -> Vec<&Address> {
    let mut order: Vec<&Address> = endpoints.iter().collect();
    if order.len() > 1 {
        fastrand::shuffle(&mut order);
        let loads = (order.first().map(|first| load(first)), order.get(1).map(|second| load(second)));
        if loads.1 < loads.0 {
            order.swap(0, 1);
        }
    }
    order
}
