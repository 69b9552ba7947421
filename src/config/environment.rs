//! `${NAME}` inside string values.

use crate::document::Expand;
use crate::runtime::surroundings::{Fact, Unsaid};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env::VarError;
use std::rc::Rc;

/// The names of the variables that were put in, until somebody takes them away.
pub(super) type Used = Rc<RefCell<Vec<String>>>;

/// Where `${NAME}` gets its value.
#[derive(Clone)]
pub struct Environment {
    variables: Rc<Lookup>,
    surroundings: Rc<Ask>,
    /// What the surroundings said: they are asked once for each, so that one text is expanded with one answer.
    said: Rc<RefCell<BTreeMap<Fact, Result<String, Unsaid>>>>,
}

type Lookup = dyn Fn(&str) -> Result<String, VarError>;
type Ask = dyn Fn(Fact) -> Result<String, Unsaid>;

impl Environment {
    /// The environment of this process, and what the platform says of it.
    pub fn of_process() -> Self {
        Self { variables: Rc::new(|name| std::env::var(name)), surroundings: Rc::new(Fact::ask), said: Rc::default() }
    }

    /// Exactly these variables; the platform says nothing.
    pub fn fixed(variables: &[(&str, &str)]) -> Self {
        let variables: Vec<(String, String)> = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let find = move |wanted: &str| {
            variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).ok_or(VarError::NotPresent)
        };
        Self { variables: Rc::new(find), surroundings: Rc::new(|_| Err(Unsaid::Elsewhere("this is nowhere"))), said: Rc::default() }
    }

    /// The same, where the platform says this.
    #[cfg(test)]
    pub fn in_surroundings(self, says: impl Fn(Fact) -> String + 'static) -> Self {
        Self { surroundings: Rc::new(move |fact| Ok(says(fact))), ..self }
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
        if let Some(fact) = Fact::ALL.into_iter().find(|fact| fact.to_string() == name) {
            let mut said = self.said.borrow_mut();
            let said = said.entry(fact).or_insert_with(|| (self.surroundings)(fact)).clone();
            return said
                .map_err(|unsaid| format!("{unsaid}: write the value in place of ${{{name}}}, or pass it in an environment variable"));
        }
        if name.contains('.') {
            let known = Fact::ALL.map(|fact| format!("${{{fact}}}")).join(", ");
            return Err(format!("${{{name}}} is nothing that the platform is asked for: write one of {known}"));
        }
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !name.bytes().all(named) {
            return Err(format!("${{{name}}} names no environment variable: write ${{NAME}} with letters, digits and underscores"));
        }
        (self.variables)(name).map_err(|error| match error {
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
            ("${ecs.cluster}", "this is nowhere: write the value in place of ${ecs.cluster}, or pass it in an environment variable"),
            (
                "${ecs.region}",
                "${ecs.region} is nothing that the platform is asked for: write one of ${ecs.cluster}, ${ecs.family}, ${k8s.namespace}, ${k8s.service_account}",
            ),
        ];
        for (text, message) in table {
            assert_eq!(expand(text).unwrap_err(), message);
        }
    }
    #[test]
    fn the_platform_is_asked_once() {
        let asked = Rc::new(RefCell::new(Vec::new()));
        let noting = Rc::clone(&asked);
        let environment = Environment::fixed(&[]).in_surroundings(move |fact| {
            noting.borrow_mut().push(fact);
            format!("<{fact}>")
        });
        for _ in 0..2 {
            let expanded = environment.expand("${ecs.family}/${k8s.namespace}/${ecs.family}", &Used::default());
            assert_eq!(expanded.as_deref(), Ok("<ecs.family>/<k8s.namespace>/<ecs.family>"));
        }
        assert_eq!(*asked.borrow(), [Fact::EcsFamily, Fact::K8sNamespace]);
    }
}
