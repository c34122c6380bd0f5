//! From files to one tree: read, parse, merge, expand.

mod expand;
mod merge;
pub(crate) mod source;
mod syntax;
pub(crate) mod tree;

#[cfg(test)]
mod tests;

pub(crate) use expand::Environment;

use super::report::Report;
use tree::Table;

/// One tree of all sources; what is wrong is reported. `None` where one has no valid syntax: what
/// the others say would be judged wrongly without it.
pub(crate) fn load(report: &Report<'_>, environment: Environment<'_>) -> Option<Table> {
    let parsed: Vec<Option<Table>> = report
        .sources()
        .0
        .iter()
        .enumerate()
        .map(|(file, source)| syntax::parse(file, source, report))
        .collect();
    let mut root = Table::default();
    for over in parsed.into_iter().collect::<Option<Vec<_>>>()? {
        merge::merge(&mut root, over);
    }
    expand::expand(&mut root, environment, report);
    Some(root)
}
