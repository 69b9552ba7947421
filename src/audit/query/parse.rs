//! From a filter's words to the filter, by recursive descent.

use super::field::{Field, Kind, closest, meant};
use super::filter::{Expr, Filter, Order, Value};
use super::lex::{Sign, Token, lex};
use super::mistake::{FilterError, Mistake};
use super::pattern::Pattern;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Parentheses and `not` in one another: what is read by recursion must end before the stack does.
const DEEPEST: usize = 64;

/// Words that are no value unless they are quoted.
const KEYWORDS: [&str; 5] = ["and", "or", "not", "in", "has"];

pub(super) fn parse(text: &str, now: OffsetDateTime) -> Result<Filter, FilterError> {
    let mut parser = Parser { text, tokens: lex(text)?, next: 0, depth: 0, now, filter: Filter::everything() };
    if parser.tokens.is_empty() {
        return Ok(parser.filter);
    }
    let expr = parser.any()?;
    if parser.peek().is_some() {
        return Err(parser.fail(Mistake::Joint { found: parser.found(), inside: false }));
    }
    Ok(Filter { expr, ..parser.filter })
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    now: OffsetDateTime,
    filter: Filter,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expr, FilterError> {
        let mut all = vec![self.all()?];
        while self.takes_word("or") {
            all.push(self.all()?);
        }
        Ok(one_or(all, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        let mut all = vec![self.one()?];
        while self.takes_word("and") {
            all.push(self.one()?);
        }
        Ok(one_or(all, Expr::All))
    }

    fn one(&mut self) -> Result<Expr, FilterError> {
        if self.depth == DEEPEST {
            return Err(self.fail(Mistake::Deep(DEEPEST)));
        }
        self.depth += 1;
        let expr = self.one_inside()?;
        self.depth -= 1;
        Ok(expr)
    }

    fn one_inside(&mut self) -> Result<Expr, FilterError> {
        if self.takes_word("not") {
            return Ok(Expr::Not(Box::new(self.one()?)));
        }
        if self.takes_word("has") {
            let field = self.field()?;
            return Ok(Expr::Has(self.filter.place(&field)));
        }
        let open = self.next;
        if !self.takes(&Sign::Open) {
            return self.comparison();
        }
        let expr = self.any()?;
        if !self.takes(&Sign::Close) {
            return Err(match self.peek() {
                None => self.fail_at(open, Mistake::OpenParenthesis),
                Some(_) => self.fail(Mistake::Joint { found: self.found(), inside: true }),
            });
        }
        Ok(expr)
    }

    fn field(&mut self) -> Result<Field, FilterError> {
        let name = match self.peek() {
            Some(Sign::Word(word)) if !KEYWORDS.contains(&word.as_str()) => word.clone(),
            _ => return Err(self.fail(Mistake::Start { found: self.found() })),
        };
        let field = Field::named(&name).ok_or_else(|| self.fail(Mistake::Field { meant: meant(&name), name: name.clone() }))?;
        self.next += 1;
        Ok(field)
    }

    fn comparison(&mut self) -> Result<Expr, FilterError> {
        let field = self.field()?;
        let operators = field.kind.operators();
        let at = self.next;
        let (negated, sign) = match self.peek().cloned() {
            Some(Sign::Word(word)) if word == "not" => {
                self.next += 1;
                (true, self.peek().cloned())
            }
            sign => (false, sign),
        };
        let order = match &sign {
            Some(Sign::Less) => Some(Order::Less),
            Some(Sign::LessEqual) => Some(Order::LessEqual),
            Some(Sign::Greater) => Some(Order::Greater),
            Some(Sign::GreaterEqual) => Some(Order::GreaterEqual),
            _ => None,
        };
        let is_in = matches!(&sign, Some(Sign::Word(word)) if word == "in");
        let is_operator = is_in || (!negated && (order.is_some() || matches!(sign, Some(Sign::Equal | Sign::Unequal | Sign::Like))));
        if !is_operator {
            return Err(self.fail(Mistake::Operator { field: field.name().to_owned(), operators, found: self.found() }));
        }
        let ordered = matches!(field.kind, Kind::Number | Kind::Time);
        let meaningless = field.kind == Kind::Part || (order.is_some() && !ordered) || (sign == Some(Sign::Like) && ordered);
        if meaningless {
            let (field, kind) = (field.name().to_owned(), field.kind.what());
            return Err(self.fail_at(at, Mistake::Kind { field, kind, operator: self.found(), operators }));
        }
        self.next += 1;
        let place = self.filter.place(&field);
        Ok(match (order, sign) {
            (Some(order), _) => Expr::Order(place, order, self.value(&field)?),
            (None, Some(Sign::Equal)) => Expr::Is(place, vec![self.value(&field)?]),
            (None, Some(Sign::Unequal)) => Expr::Not(Box::new(Expr::Is(place, vec![self.value(&field)?]))),
            (None, Some(Sign::Like)) => Expr::Like(place, self.pattern(&field)?),
            _ if negated => Expr::Not(Box::new(Expr::Is(place, self.list(&field)?))),
            _ => Expr::Is(place, self.list(&field)?),
        })
    }

    fn list(&mut self, field: &Field) -> Result<Vec<Value>, FilterError> {
        if !self.takes(&Sign::Open) {
            return Err(self.fail(Mistake::List { found: self.found() }));
        }
        let mut values = vec![self.value(field)?];
        while self.takes(&Sign::Comma) {
            values.push(self.value(field)?);
        }
        if !self.takes(&Sign::Close) {
            return Err(self.fail(Mistake::InList { found: self.found() }));
        }
        Ok(values)
    }

    fn pattern(&mut self, field: &Field) -> Result<Pattern, FilterError> {
        let at = self.next;
        let text = self.value_text()?;
        Pattern::parse(field.kind, &text).map_err(|what| self.fail_at(at, Mistake::Pattern(what)))
    }

    fn value(&mut self, field: &Field) -> Result<Value, FilterError> {
        let at = self.next;
        let text = self.value_text()?;
        let name = || field.name().to_owned();
        match field.kind {
            Kind::Number => match text.parse() {
                Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Value::Number(number)),
                _ => Err(self.fail_at(at, Mistake::Number { field: name(), found: text })),
            },
            Kind::Time => match point(&text, self.now) {
                Some(point) => Ok(Value::Time(point)),
                None => Err(self.fail_at(at, Mistake::Time { field: name(), found: text })),
            },
            Kind::OneOf(all) if !all.contains(&text.as_str()) => {
                let meant = closest(&text, all.iter().copied()).and_then(|meant| all.iter().copied().find(|known| *known == meant));
                Err(self.fail_at(at, Mistake::Never { field: name(), found: text, meant, all }))
            }
            _ => Ok(Value::Text(text)),
        }
    }

    fn value_text(&mut self) -> Result<String, FilterError> {
        let text = match self.peek() {
            Some(Sign::Quoted(text)) => text.clone(),
            Some(Sign::Word(word)) if KEYWORDS.contains(&word.as_str()) => return Err(self.fail(Mistake::Keyword(word.clone()))),
            Some(Sign::Word(word)) => word.clone(),
            _ => return Err(self.fail(Mistake::Value { found: self.found() })),
        };
        self.next += 1;
        Ok(text)
    }

    fn peek(&self) -> Option<&Sign> {
        self.tokens.get(self.next).map(|token| &token.sign)
    }

    fn takes(&mut self, sign: &Sign) -> bool {
        let taken = self.peek() == Some(sign);
        self.next += usize::from(taken);
        taken
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let taken = matches!(self.peek(), Some(Sign::Word(found)) if found == word);
        self.next += usize::from(taken);
        taken
    }

    /// What stands at the next place, for messages.
    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end".to_owned(), Sign::text)
    }

    fn fail(&self, mistake: Mistake) -> FilterError {
        self.fail_at(self.next, mistake)
    }

    fn fail_at(&self, token: usize, mistake: Mistake) -> FilterError {
        FilterError::new(self.text, self.tokens.get(token).map_or(self.text.len(), |token| token.at), mistake)
    }
}

fn one_or(mut all: Vec<Expr>, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match all.len() {
        1 => all.swap_remove(0),
        _ => many(all),
    }
}

/// A time, or an age before `now`.
pub(super) fn point(text: &str, now: OffsetDateTime) -> Option<OffsetDateTime> {
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(at);
    }
    let number = text.get(..text.len().checked_sub(1)?)?;
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        b'w' => 604_800,
        _ => return None,
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(unit)?;
    now.checked_sub(Duration::from_secs(seconds).try_into().ok()?)
}
