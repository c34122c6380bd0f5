//! What the command line says about the config.

use toml::Value;

use super::load::source::Source;

/// Config given by flags, without a file or over one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// URLs of etcd's members; they become a registry named `etcd`.
    pub etcd: Vec<String>,
    /// The service to carry calls to; without one, each call names its own.
    pub service: Option<String>,
    /// The address to listen on for it.
    pub listen: Option<String>,
}

impl Flags {
    /// The flags as one more file, the last to merge; `None` where none is given.
    ///
    /// So flags are merged, checked and complained about by the same code as files.
    pub(super) fn source(&self) -> Option<Source> {
        if *self == Self::default() {
            return None;
        }
        let mut text = String::new();
        if !self.etcd.is_empty() {
            let urls = Value::Array(self.etcd.iter().map(|url| quoted(url)).collect());
            text +=
                &format!("[[registry]]\nname = \"etcd\"\nkind = \"etcd\"\nendpoints = {urls}\n");
        }
        if let (Some(service), false) = (&self.service, self.etcd.is_empty()) {
            let service = quoted(service);
            text += &format!("[[service]]\nname = {service}\nregistry = \"etcd\"\n");
        }
        text += &self.listener();
        Some(Source::new("command line", &text))
    }

    fn listener(&self) -> String {
        let name = quoted(self.service.as_deref().unwrap_or("all"));
        let mut text = String::new();
        if self.service.is_none() && self.listen.is_none() {
            return text;
        }
        text += &format!("[[listener]]\nname = {name}\n");
        if let Some(listen) = &self.listen {
            text += &format!("listen = {}\n", quoted(listen));
        }
        match &self.service {
            Some(service) => text += &format!("service = {}\n", quoted(service)),
            // Which one is meant is said already.
            None if !self.etcd.is_empty() => text += "registry = \"etcd\"\n",
            None => {}
        }
        text
    }
}

fn quoted(text: &str) -> Value {
    Value::String(text.into())
}
