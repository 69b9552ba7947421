//! What a rule of somebody else asks for, as a formula; and the cases that it comes to.

use super::matching::{Match, Meeting};

/// A formula over matches of one field each.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    /// The request is like this.
    Is(Match),
    /// All of them; of none: always.
    All(Vec<Expr>),
    /// One of them; of none: never.
    Any(Vec<Expr>),
    /// Not so.
    Not(Box<Expr>),
    /// Something that a table cannot say; it was noted. Taken for true wherever it stands, also under a `not`, so that a formula with gaps is met by
    /// more requests than meant, and never by fewer.
    Gap,
}

/// Requests that are like this and like none of those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) like: Match,
    pub(super) unlike: Vec<Match>,
}

/// What became of a formula.
#[derive(Debug)]
pub(super) struct Cases {
    /// A request meets the formula if it is one of these.
    pub(super) cases: Vec<Case>,
    /// Why the cases are met by more requests than the formula, where they are.
    pub(super) wider: Option<&'static str>,
}

/// The most cases of one formula.
const MOST: usize = 1_024;

const TOO_MANY: &str = "comes to more than 1024 rules";
const TWICE: &str = "asks for two things in one field that a rule cannot ask for together";

impl Expr {
    /// Met by every request.
    pub(super) const ALWAYS: Self = Self::All(Vec::new());

    /// One of these; those that are about one and the same field become one.
    pub(super) fn any(all: impl IntoIterator<Item = Self>) -> Self {
        // A list for each field, however many texts are in it.
        let (mut lists, mut others): (Vec<Match>, Vec<Self>) = (Vec::new(), Vec::new());
        for expr in all {
            match expr {
                Self::Is(new) if new.headers.is_empty() => {
                    if !lists.iter_mut().any(|known| known.absorb(&new)) {
                        lists.push(new);
                    }
                }
                other => others.push(other),
            }
        }
        let mut kept: Vec<Self> = lists.into_iter().map(Self::Is).chain(others).collect();
        if kept.len() == 1 { kept.swap_remove(0) } else { Self::Any(kept) }
    }

    /// All of these.
    pub(super) fn all(all: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Self> = all.into_iter().collect();
        if all.len() == 1 { all.swap_remove(0) } else { Self::All(all) }
    }

    /// Whether it says more than a table can.
    pub(super) fn has_gap(&self) -> bool {
        match self {
            Self::Gap => true,
            Self::Is(_) => false,
            Self::All(all) | Self::Any(all) => all.iter().any(Self::has_gap),
            Self::Not(inner) => inner.has_gap(),
        }
    }

    /// Not this.
    pub(super) fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Every case of it.
    pub(super) fn cases(&self) -> Cases {
        let Some(products) = products(self, true) else {
            return Cases { cases: vec![Case { like: Match::default(), unlike: Vec::new() }], wider: Some(TOO_MANY) };
        };
        let mut wider = None;
        let cases = products.into_iter().filter_map(|product| product.case(&mut wider));
        let mut distinct: Vec<Case> = Vec::new();
        for case in cases {
            if !distinct.contains(&case) {
                distinct.push(case);
            }
        }
        Cases { cases: distinct, wider }
    }
}

/// Matches that all must be so, and such as must not be.
#[derive(Debug, Clone, Default)]
struct Product {
    like: Vec<Match>,
    unlike: Vec<Match>,
}

impl Product {
    fn and(&self, other: &Self) -> Self {
        let both = |one: &[Match], other: &[Match]| one.iter().chain(other).cloned().collect();
        Self { like: both(&self.like, &other.like), unlike: both(&self.unlike, &other.unlike) }
    }

    /// Nothing where no request can be so.
    fn case(self, wider: &mut Option<&'static str>) -> Option<Case> {
        let mut like = Match::default();
        for next in &self.like {
            match like.meet(next) {
                Meeting::Both(both) => like = both,
                Meeting::Never => return None,
                Meeting::Unsaid => *wider = Some(TWICE),
            }
        }
        let mut unlike: Vec<Match> = Vec::new();
        for next in self.unlike {
            match like.meet(&next) {
                Meeting::Never => {}
                // All of them are like that.
                Meeting::Both(both) if both == like => return None,
                _ if unlike.contains(&next) => {}
                _ => unlike.push(next),
            }
        }
        Some(Case { like, unlike })
    }
}

/// The formula as one of products; `None`: too many.
fn products(expr: &Expr, so: bool) -> Option<Vec<Product>> {
    match (expr, so) {
        (Expr::Is(one), true) => Some(vec![Product { like: vec![one.clone()], unlike: Vec::new() }]),
        (Expr::Is(one), false) => Some(vec![Product { like: Vec::new(), unlike: vec![one.clone()] }]),
        (Expr::Gap, _) => Some(vec![Product::default()]),
        (Expr::Not(inner), so) => products(inner, !so),
        (Expr::All(all), true) | (Expr::Any(all), false) if all.len() > MOST => None,
        (Expr::All(all), true) | (Expr::Any(all), false) => all.iter().try_fold(vec![Product::default()], |sum, expr| {
            let next = products(expr, so)?;
            if sum.len().saturating_mul(next.len()) > MOST {
                return None;
            }
            Some(sum.iter().flat_map(|one| next.iter().map(|other| one.and(other))).collect())
        }),
        (Expr::Any(all), true) | (Expr::All(all), false) => {
            let mut sum = Vec::new();
            for expr in all {
                sum.extend(products(expr, so)?);
                if sum.len() > MOST {
                    return None;
                }
            }
            Some(sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(names: &[&str]) -> Expr {
        Expr::Is(Match { methods: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..Match::default() })
    }

    fn port(port: u16) -> Expr {
        Expr::Is(Match { ports: Some(vec![port]), ..Match::default() })
    }

    #[test]
    fn formulas_come_to_their_cases() {
        let either = Expr::any([methods(&["GET"]), methods(&["HEAD"])]);
        assert_eq!(either.cases().cases.len(), 1, "alternatives of one field are one list");
        let both = Expr::All(vec![either.clone(), port(1), methods(&["HEAD"]).not()]);
        let cases = both.cases().cases;
        assert_eq!((cases.len(), cases[0].unlike.len(), cases[0].like.ports.clone()), (1, 1, Some(vec![1])));
        assert!(Expr::All(vec![methods(&["GET"]), methods(&["POST"])]).cases().cases.is_empty());
        assert!(Expr::All(vec![methods(&["GET"]), either.not()]).cases().cases.is_empty(), "each is excluded");
        assert!(Expr::ALWAYS.not().cases().cases.is_empty());
        // Neither GET, nor on port 1: the one or the other is enough.
        let neither = Expr::All(vec![methods(&["GET"]), port(1)]).not();
        assert_eq!(neither.cases().cases.len(), 2);
    }

    #[test]
    fn gaps_never_narrow() {
        for expr in [Expr::All(vec![methods(&["GET"]), Expr::Gap]), Expr::All(vec![methods(&["GET"]), Expr::Gap.not()])] {
            let cases = expr.cases().cases;
            assert!(cases.len() == 1 && cases[0].unlike.is_empty());
        }
    }

    #[test]
    fn formulas_that_grow_are_cut_off_to_the_wide_side() {
        let clause = |at: u16| Expr::Any(vec![port(2 * at + 1), port(2 * at + 2), methods(&["GET"])]).not().not();
        let cases = Expr::All((0..40).map(clause).collect()).cases();
        assert!(cases.wider.is_some() && cases.cases[0].like == Match::default());
    }
}
