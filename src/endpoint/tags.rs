//! What the owner of an instance wrote beside its address.

use std::fmt;
use std::sync::Arc;

use crate::registry::Instance;

/// The tags of an instance. Cheap to clone: they are the registration itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<Instance>>);

impl Tags {
    /// Those of a registration.
    #[must_use]
    pub fn of(instance: &Arc<Instance>) -> Self {
        Self((!instance.tags.is_empty()).then(|| instance.clone()))
    }

    /// The value of a tag. An empty one is none.
    #[must_use]
    pub fn get(&self, tag: &str) -> Option<&str> {
        let value = self.0.as_ref()?.tags.get(tag)?;
        (!value.is_empty()).then_some(value)
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map(|it| &it.tags).fmt(out)
    }
}
