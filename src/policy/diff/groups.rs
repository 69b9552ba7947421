//! What was found, put together by callers and path patterns.

use super::causes::Causes;
use super::classes::{Class, classes, size};
use super::joint::Joint;
use super::naive::{Asked, judge};
use super::places::{Found, Place, Places};
use super::ports::by_port;
use super::{ALLOWED, By, Changes, DENIED, Limit, SIDES, Sought};
use crate::identity::Principal;
use crate::policy::space::{Budget, Exhausted};
use crate::policy::{Tables, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

/// What is compared, and how.
#[derive(Clone, Copy)]
pub(super) struct Settings<'t> {
    pub(super) tables: [&'t Arc<Tables>; 2],
    pub(super) ports: Option<&'t [u16]>,
    pub(super) most: usize,
    pub(super) now: SystemTime,
}

/// Requests of some callers that are decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Patterns of the callers.
    pub callers: Vec<String>,
    /// The path pattern; `None`: TCP connections.
    pub template: Option<String>,
    /// The methods, where there are paths; `*` stands for all that no rule here names.
    pub methods: Vec<String>,
    /// Whether these are all methods.
    pub is_any_method: bool,
    /// The shortest of them.
    pub witness: Witness,
}

/// One request that the sides decide otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Who asks.
    pub caller: Principal,
    /// On which local port; `None`: no rule here asks.
    pub port: Option<u16>,
    /// For what.
    pub sought: Sought,
    /// What must be so besides, a clause each.
    pub given: Vec<String>,
    /// Who decides, in the first side and in the second.
    pub by: [By; 2],
}

/// What a difference is shown under: a direction, a path pattern or TCP connections, and a pattern of callers.
type Key = (usize, Option<u32>, u32);

/// Differences by what they are shown under.
pub(super) struct Groups(BTreeMap<Key, Group>);

/// A group by the patterns of its callers, and its path pattern.
type Shown = (Vec<u32>, Option<u32>, Group);

/// A path, a caller and a port, each standing for those that no rule tells apart from it.
type Case = (String, String, Option<u16>);

/// What is shown together.
struct Group {
    methods: BTreeSet<String>,
    told_apart: BTreeSet<String>,
    /// Path, caller and port of each difference that rules tell apart from the others; of more than two, two.
    cases: BTreeSet<Case>,
    /// Where its shortest request is.
    place: Rc<Place>,
    caller: Principal,
    port: Option<u16>,
}

impl Groups {
    /// Looks for all differences; what keeps the answer from being exact is given beside.
    pub(super) fn find(joint: &Joint<'_>, settings: &Settings<'_>, budget: &mut Budget) -> (Self, Vec<Limit>) {
        let mut places = Places::new(joint);
        let mut groups = Self(BTreeMap::new());
        let result = groups.look(joint, settings, &mut places, budget);
        let mut limits = places.limits;
        limits.extend(result.err().map(|Exhausted| Limit::Work));
        (groups, limits)
    }

    fn look(
        &mut self,
        joint: &Joint<'_>,
        settings: &Settings<'_>,
        places: &mut Places<'_, '_>,
        budget: &mut Budget,
    ) -> Result<(), Exhausted> {
        let causes = Causes::of(joint, budget)?;
        for class in classes(joint, causes.callers(), budget)? {
            let templates = causes.templates(class.callers.iter().map(|(pattern, _)| *pattern));
            for (port, nodes) in by_port(joint, &class.nodes, settings.ports, budget)? {
                budget.spend(nodes.len() + templates.len())?;
                for template in &templates {
                    let place = match template {
                        Some(template) => places.of_path(*template, &nodes, budget)?,
                        None => Rc::new(places.of_connections(&nodes, budget)?),
                    };
                    self.add(&causes, *template, &class, port, &place);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, causes: &Causes, template: Option<u32>, class: &Class, port: Option<u16>, place: &Rc<Place>) {
        for direction in [ALLOWED, DENIED] {
            let Some(found) = found(place, direction) else { continue };
            for (pattern, caller) in class.callers.iter().filter(|(pattern, _)| causes.are(*pattern, direction, template)) {
                let key = (direction, template, *pattern);
                let group = self.0.entry(key).or_insert_with(|| Group {
                    methods: BTreeSet::new(),
                    told_apart: BTreeSet::new(),
                    cases: BTreeSet::new(),
                    place: Rc::clone(place),
                    caller: caller.clone(),
                    port,
                });
                group.methods.extend(found.methods.iter().cloned());
                group.told_apart.extend(place.told_apart.iter().cloned());
                group.note(found.paths.iter().map(|path| (path.clone(), caller.to_string(), port)));
                if group.is_longer(direction, found, caller) {
                    (group.place, group.caller, group.port) = (Rc::clone(place), caller.clone(), port);
                }
            }
        }
    }

    /// The shortest of each direction, confirmed rule by rule.
    pub(super) fn changes(self, joint: &Joint<'_>, settings: &Settings<'_>, limits: &mut Vec<Limit>) -> [Changes; 2] {
        let mut merged: [Vec<Shown>; 2] = Default::default();
        let mut known: BTreeMap<_, usize> = BTreeMap::new();
        for ((direction, template, pattern), group) in self.0 {
            let Some(merged) = merged.get_mut(direction) else { continue };
            // Callers of several patterns who meet the same rules are told once.
            let key = (direction, template, Rc::as_ptr(&group.place), group.port, group.methods.clone());
            let at = *known.entry(key).or_insert(merged.len());
            match merged.get_mut(at) {
                None => merged.push((vec![pattern], template, group)),
                Some((patterns, _, first)) => {
                    patterns.push(pattern);
                    first.note(group.cases);
                    if size(&group.caller) < size(&first.caller) {
                        first.caller = group.caller;
                    }
                }
            }
        }
        let [allowed, denied] = merged;
        let mut shown = |direction, groups: Vec<Shown>| {
            let mut groups = once_each(joint, groups);
            groups.sort_by(|(_, _, one), (_, _, other)| one.rank(direction).cmp(&other.rank(direction)));
            let left_out = groups.len().saturating_sub(settings.most);
            groups.truncate(settings.most);
            let shown = groups.into_iter().filter_map(|group| change(joint, settings, direction, group, limits)).collect();
            Changes { shown, left_out }
        };
        [shown(ALLOWED, allowed), shown(DENIED, denied)]
    }
}

impl Group {
    fn note(&mut self, cases: impl IntoIterator<Item = Case>) {
        self.cases.extend(cases);
        while self.cases.len() > 2 {
            self.cases.pop_last();
        }
    }

    /// Whether its shortest request is longer than this.
    fn is_longer(&self, direction: usize, found: &Found, caller: &Principal) -> bool {
        let own = self::found(&self.place, direction);
        own.is_none_or(|own| {
            (found.shortest.rank(), found.values.len(), size(caller)) < (own.shortest.rank(), own.values.len(), size(&self.caller))
        })
    }

    fn rank(&self, direction: usize) -> impl Ord + use<'_> {
        let found = found(&self.place, direction);
        (found.map(|found| (found.shortest.rank(), found.values.len())), size(&self.caller))
    }
}

/// One request may differ for what two rules say of it, one of them about many more: it is told once, under the pattern that says more of it.
fn once_each(joint: &Joint<'_>, groups: Vec<Shown>) -> Vec<Shown> {
    let breadth = |number: Option<u32>| {
        let text = number.and_then(|number| joint.words.templates.get(usize::try_from(number).ok()?)).copied().unwrap_or_default();
        (text.ends_with("/**"), text.matches('{').count())
    };
    let mut known: BTreeMap<(Case, BTreeSet<String>), usize> = BTreeMap::new();
    let mut all: Vec<Shown> = Vec::new();
    for shown in groups {
        let (_, own, group) = &shown;
        let only = group.cases.first().filter(|_| group.cases.len() == 1);
        let Some(key) = only.map(|case| (case.clone(), group.methods.clone())) else {
            all.push(shown);
            continue;
        };
        match known.get(&key).and_then(|at| all.get_mut(*at)) {
            Some(other) if breadth(*own) < breadth(other.1) => *other = shown,
            Some(_) => {}
            None => {
                known.insert(key, all.len());
                all.push(shown);
            }
        }
    }
    all
}

fn found(place: &Place, direction: usize) -> Option<&Found> {
    place.found.get(direction).and_then(Option::as_ref)
}

/// What is shown of a group; `None`, with a limit, where the rules one by one say something else.
fn change(
    joint: &Joint<'_>,
    settings: &Settings<'_>,
    direction: usize,
    (patterns, template, group): (Vec<u32>, Option<u32>, Group),
    limits: &mut Vec<Limit>,
) -> Option<Change> {
    let Found { shortest, values, .. } = found(&group.place, direction)?;
    let asked = Asked { principal: &group.caller, port: group.port, sought: shortest, values, now: settings.now };
    let judged = SIDES.map(|side| settings.tables.get(side).and_then(|tables| judge(joint, side, tables, &asked)));
    let expected = if direction == ALLOWED { [Verdict::Deny, Verdict::Allow] } else { [Verdict::Allow, Verdict::Deny] };
    let [Some((a, first)), Some((b, second))] = judged else {
        limits.push(Limit::Unconfirmed { at: shortest.to_string() });
        return None;
    };
    if [a, b] != expected {
        limits.push(Limit::Unconfirmed { at: shortest.to_string() });
        return None;
    }
    let text = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let callers = patterns.iter().filter_map(|pattern| joint.words.callers.get(text(*pattern)));
    let callers: BTreeSet<String> = callers.map(|(pattern, _)| (*pattern).to_owned()).collect();
    let template = template.and_then(|template| joint.words.templates.get(text(template)));
    Some(Change {
        callers: callers.into_iter().collect(),
        template: template.map(|template| (*template).to_owned()),
        is_any_method: group.methods.contains("*") && group.told_apart.is_subset(&group.methods),
        methods: group.methods.into_iter().collect(),
        witness: Witness {
            caller: group.caller.clone(),
            port: group.port,
            sought: shortest.clone(),
            given: values.iter().map(|(atom, value)| joint.atoms.said(*atom, *value)).collect(),
            by: [first, second],
        },
    })
}
