//! `${NAME}` inside string values.

use crate::document::Expand;
use std::cell::RefCell;
use std::env::VarError;
use std::rc::Rc;

/// The names of the variables that were put in, until somebody takes them away.
pub(super) type Used = Rc<RefCell<Vec<String>>>;

/// Where `${NAME}` gets its value.
#[derive(Clone)]
pub struct Environment(Rc<Lookup>);

type Lookup = dyn Fn(&str) -> Result<String, VarError>;

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self(Rc::new(|name| std::env::var(name)))
    }

    /// Exactly these variables.
    pub fn fixed(variables: &[(&str, &str)]) -> Self {
        let variables: Vec<(String, String)> = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self(Rc::new(move |wanted| {
            variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).ok_or(VarError::NotPresent)
        }))
    }

    /// Puts values in for names, and notes the names in `used`.
    pub(super) fn expander(&self, used: &Used) -> Expand {
        let (environment, used) = (self.clone(), used.clone());
        Box::new(move |text| environment.expand(text, &used))
    }

    /// Expands once: what a variable holds is not expanded again.
    fn expand(&self, text: &str, used: &Used) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) = after.split_once('}').ok_or("close ${ with a }")?;
            expanded.push_str(before);
            expanded.push_str(&self.value(name)?);
            used.borrow_mut().push(name.to_owned());
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn value(&self, name: &str) -> Result<String, String> {
        if name.starts_with("ecs.") || name.starts_with("k8s.") {
            return Err(format!("${{{name}}} is not built yet: write the value, or pass it in an environment variable"));
        }
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !name.bytes().all(named) {
            return Err(format!("${{{name}}} names no environment variable: write ${{NAME}} with letters, digits and underscores"));
        }
        (self.0)(name).map_err(|error| match error {
            VarError::NotPresent => format!("the environment variable {name} is not set: set it, or write the value"),
            VarError::NotUnicode(_) => format!("the environment variable {name} is not UTF-8: set it to text"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        Environment::fixed(&[("A", "one"), ("B_2", "${A}"), ("E", "")]).expand(text, &Used::default())
    }

    #[test]
    fn names_are_replaced_once() {
        let table = [("", ""), ("x", "x"), ("$A {A}", "$A {A}"), ("${A}", "one"), ("<${A}${E}/${A}>", "<one/one>"), ("${B_2}", "${A}")];
        for (text, expected) in table {
            assert_eq!(expand(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_named() {
        let table = [
            ("${MISSING}", "the environment variable MISSING is not set: set it, or write the value"),
            ("${A", "close ${ with a }"),
            ("${}", "${} names no environment variable: write ${NAME} with letters, digits and underscores"),
            ("${A:-x}", "${A:-x} names no environment variable: write ${NAME} with letters, digits and underscores"),
            ("${ecs.cluster}", "${ecs.cluster} is not built yet: write the value, or pass it in an environment variable"),
            ("${k8s.namespace}", "${k8s.namespace} is not built yet: write the value, or pass it in an environment variable"),
        ];
        for (text, message) in table {
            assert_eq!(expand(text).unwrap_err(), message);
        }
    }
}
