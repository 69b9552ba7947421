//! What many rules have alike, kept once.

use crate::policy::methods::Methods;
use crate::policy::rule::From;
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Shared {
    froms: RefCell<HashSet<Arc<From>>>,
    methods: RefCell<HashSet<Methods>>,
}

impl Shared {
    /// The one that is like this.
    pub(super) fn from(&self, from: From) -> Arc<From> {
        let mut froms = self.froms.borrow_mut();
        if let Some(known) = froms.get(&from) {
            return Arc::clone(known);
        }
        let new = Arc::new(from);
        froms.insert(Arc::clone(&new));
        new
    }

    /// The ones that are like these.
    pub(super) fn methods(&self, methods: Methods) -> Methods {
        let mut known = self.methods.borrow_mut();
        if let Some(known) = known.get(&methods) {
            return known.clone();
        }
        known.insert(methods.clone());
        methods
    }
}
