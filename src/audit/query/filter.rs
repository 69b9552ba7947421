//! A filter: what it is made of, how it is written, and whether a record passes it.

use super::extract::{Extract, Got};
use super::field::{Field, Kind};
use super::lex::quoted;
use super::mistake::FilterError;
use super::parse;
use super::pattern::Pattern;
use std::fmt;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A filter of records. [`fmt::Display`] writes it so that it is read as the same filter again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub(super) expr: Expr,
    /// What it looks at; [`Expr`] has places in here.
    pub(super) fields: Vec<Field>,
}

/// A condition. Fields are places in the filter's list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expr {
    /// All of them; of none, everything.
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Has(usize),
    /// One of these values.
    Is(usize, Vec<Value>),
    Like(usize, Pattern),
    Order(usize, Order, Value),
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Time(OffsetDateTime),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Filter {
    /// Reads a filter; an empty one lets everything pass. Ages such as `15m` are before `now`.
    ///
    /// # Errors
    /// It cannot be read; the error says where, and what is expected there.
    pub fn parse(text: &str, now: SystemTime) -> Result<Self, FilterError> {
        parse::parse(text, now.into())
    }

    /// Lets everything pass.
    pub fn everything() -> Self {
        Self { expr: Expr::All(Vec::new()), fields: Vec::new() }
    }

    /// Lets pass only what was decided at `since` or later, and before `until`.
    #[must_use]
    pub fn between(mut self, since: Option<SystemTime>, until: Option<SystemTime>) -> Self {
        let Some(time) = Field::named("time") else { return self };
        for (order, at) in [(Order::GreaterEqual, since), (Order::Less, until)] {
            let Some(at) = at else { continue };
            let bound = Self { expr: Expr::Order(0, order, Value::Time(at.into())), fields: vec![time.clone()] };
            self = self.and(bound);
        }
        self
    }

    /// Lets pass what passes both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let Self { mut expr, fields } = other;
        let places: Vec<usize> = fields.iter().map(|field| self.place(field)).collect();
        expr.move_fields(&places);
        self.expr = Expr::All(vec![self.expr, expr]);
        self
    }

    /// The place of a field in the list.
    pub(super) fn place(&mut self, field: &Field) -> usize {
        self.fields.iter().position(|known| known == field).unwrap_or_else(|| {
            self.fields.push(field.clone());
            self.fields.len() - 1
        })
    }

    /// What takes out of a record what the filter looks at, and `others`, whose values stand behind the filter's own.
    pub fn extract(&self, others: &[Field]) -> Extract {
        Extract::new(self.fields.iter().chain(others))
    }

    /// Whether a record passes, of which [`Filter::extract`] took these values.
    pub fn matches(&self, values: &[Got<'_>]) -> bool {
        self.expr.holds(values)
    }

    /// How many of the values are the filter's own.
    pub fn width(&self) -> usize {
        self.fields.len()
    }
}

impl Expr {
    /// To other places in a list of fields.
    fn move_fields(&mut self, places: &[usize]) {
        match self {
            Self::All(exprs) | Self::Any(exprs) => exprs.iter_mut().for_each(|expr| expr.move_fields(places)),
            Self::Not(expr) => expr.move_fields(places),
            Self::Has(field) | Self::Is(field, _) | Self::Like(field, _) | Self::Order(field, ..) => {
                *field = places.get(*field).copied().unwrap_or(*field);
            }
        }
    }

    fn holds(&self, values: &[Got<'_>]) -> bool {
        let of = |field: &usize| values.get(*field).unwrap_or(&Got::Absent);
        match self {
            Self::All(all) => all.iter().all(|expr| expr.holds(values)),
            Self::Any(any) => any.iter().any(|expr| expr.holds(values)),
            Self::Not(expr) => !expr.holds(values),
            Self::Has(field) => !matches!(of(field), Got::Absent),
            Self::Is(field, wanted) => wanted.iter().any(|wanted| wanted.is(of(field))),
            Self::Like(field, pattern) => matches!(of(field), Got::Text(text) if pattern.matches(text)),
            Self::Order(field, order, wanted) => wanted.compare(of(field)).is_some_and(|ordering| match order {
                Order::Less => ordering.is_lt(),
                Order::LessEqual => ordering.is_le(),
                Order::Greater => ordering.is_gt(),
                Order::GreaterEqual => ordering.is_ge(),
            }),
        }
    }
}

impl Value {
    fn is(&self, found: &Got<'_>) -> bool {
        match (self, found) {
            (Self::Text(wanted), Got::Text(text)) => wanted == text,
            (Self::Text(wanted), Got::Flag(flag)) => *wanted == flag.to_string(),
            _ => self.compare(found).is_some_and(std::cmp::Ordering::is_eq),
        }
    }

    /// How what was found compares with this.
    fn compare(&self, found: &Got<'_>) -> Option<std::cmp::Ordering> {
        match (self, found) {
            (Self::Number(wanted), Got::Number(number)) => Some(number.cmp(wanted)),
            (Self::Time(wanted), Got::Text(text)) => OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| at.cmp(wanted)),
            _ => None,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.expr, &self.fields)
    }
}

fn write(f: &mut fmt::Formatter<'_>, expr: &Expr, fields: &[Field]) -> fmt::Result {
    let name = |field: &usize| fields.get(*field).map(Field::name).unwrap_or_default();
    match expr {
        Expr::All(all) => joined(f, all, " and ", fields, |expr| matches!(expr, Expr::All(_) | Expr::Any(_))),
        Expr::Any(any) => joined(f, any, " or ", fields, |expr| matches!(expr, Expr::Any(_))),
        Expr::Has(field) => write!(f, "has {}", name(field)),
        Expr::Is(field, values) => is(f, name(field), values, ("=", "in")),
        Expr::Like(field, pattern) => write!(f, "{}~{}", name(field), quoted(pattern.as_str())),
        Expr::Order(field, order, value) => {
            let sign = match order {
                Order::Less => "<",
                Order::LessEqual => "<=",
                Order::Greater => ">",
                Order::GreaterEqual => ">=",
            };
            write!(f, "{}{sign}{value}", name(field))
        }
        Expr::Not(inner) => match &**inner {
            Expr::Is(field, values) => is(f, name(field), values, ("!=", "not in")),
            inner => {
                f.write_str("not ")?;
                one(f, inner, fields, matches!(inner, Expr::All(_) | Expr::Any(_)))
            }
        },
    }
}

fn joined(f: &mut fmt::Formatter<'_>, exprs: &[Expr], with: &str, fields: &[Field], inside: fn(&Expr) -> bool) -> fmt::Result {
    for (index, expr) in exprs.iter().enumerate() {
        if index > 0 {
            f.write_str(with)?;
        }
        one(f, expr, fields, inside(expr))?;
    }
    Ok(())
}

fn one(f: &mut fmt::Formatter<'_>, expr: &Expr, fields: &[Field], in_parentheses: bool) -> fmt::Result {
    if !in_parentheses {
        return write(f, expr, fields);
    }
    f.write_str("(")?;
    write(f, expr, fields)?;
    f.write_str(")")
}

fn is(f: &mut fmt::Formatter<'_>, name: &str, values: &[Value], (one, many): (&str, &str)) -> fmt::Result {
    if let [value] = values {
        return write!(f, "{name}{one}{value}");
    }
    write!(f, "{name} {many} (")?;
    for (index, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
    }
    f.write_str(")")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Number(number) => write!(f, "{number}"),
            Self::Time(at) => f.write_str(&at.format(&Rfc3339).unwrap_or_default()),
        }
    }
}

impl Kind {
    /// What it is, in a sentence.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Text | Self::OneOf(_) => "a text",
            Self::Id => "an identity",
            Self::Address => "an address",
            Self::Number => "a number",
            Self::Time => "a time",
            Self::Part => "more than one value",
        }
    }

    /// What may be asked of it.
    pub(super) fn operators(self) -> &'static str {
        match self {
            Self::Text | Self::OneOf(_) | Self::Id | Self::Address => "=, !=, ~, in, not in",
            Self::Number | Self::Time => "=, !=, <, <=, >, >=, in, not in",
            Self::Part => "has alone",
        }
    }
}
