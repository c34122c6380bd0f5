//! Collecting what is wrong while a config is read, so that all of it is said at once.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::load::source::{Place, Sources};
use super::problem::{ConfigErrors, Problem};

/// What one reading of a config found.
pub(crate) struct Report<'a> {
    sources: &'a Sources,
    errors: RefCell<Vec<(Option<Place>, Problem)>>,
    warnings: RefCell<Vec<(Option<Place>, Problem)>>,
    /// Values of which one thing was said that makes anything else said of them wrong.
    void: RefCell<BTreeSet<Place>>,
    /// Every key that was looked for, as `table.key`: the schema, seen from outside.
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            errors: RefCell::default(),
            warnings: RefCell::default(),
            void: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    pub(crate) fn sources(&self) -> &'a Sources {
        self.sources
    }

    pub(crate) fn error(&self, at: Place, message: impl Into<String>) {
        self.push(&self.errors, Some(at), message.into(), None);
    }

    pub(crate) fn error_with(
        &self,
        at: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(&self.errors, Some(at), message.into(), Some(help.into()));
    }

    /// An error in a value that then has nothing to be checked: what is said of it later is left out.
    pub(crate) fn error_for_good(&self, at: Place, message: impl Into<String>) {
        self.error(at, message);
        self.void.borrow_mut().insert(at);
    }

    /// An error that stands in no file.
    pub(crate) fn error_nowhere(&self, message: impl Into<String>, help: impl Into<String>) {
        self.push(&self.errors, None, message.into(), Some(help.into()));
    }

    pub(crate) fn warning(&self, at: Place, message: impl Into<String>) {
        self.push(&self.warnings, Some(at), message.into(), None);
    }

    fn push(
        &self,
        list: &RefCell<Vec<(Option<Place>, Problem)>>,
        at: Option<Place>,
        message: String,
        help: Option<String>,
    ) {
        if at.is_some_and(|at| self.void.borrow().contains(&at)) {
            return;
        }
        let spot = at.and_then(|at| self.sources.spot(at));
        let problem = Problem {
            spot,
            message,
            help,
        };
        list.borrow_mut().push((at, problem));
    }

    pub(crate) fn asked(&self, table: &str, key: &str) {
        let path = if table.is_empty() {
            key.to_owned()
        } else {
            format!("{table}.{key}")
        };
        self.asked.borrow_mut().insert(path);
    }

    /// What was looked for so far.
    #[cfg(test)]
    pub(crate) fn schema(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    /// The warnings if nothing is wrong, else the errors; either in the order of the files.
    pub(crate) fn finish(self) -> Result<Vec<Problem>, ConfigErrors> {
        let errors = sorted(self.errors.into_inner());
        if errors.is_empty() {
            Ok(sorted(self.warnings.into_inner()))
        } else {
            Err(ConfigErrors(errors))
        }
    }
}

fn sorted(mut problems: Vec<(Option<Place>, Problem)>) -> Vec<Problem> {
    problems.sort_by_key(|(at, _)| *at);
    problems.into_iter().map(|(_, problem)| problem).collect()
}
