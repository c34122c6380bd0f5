//! What the doctor's JSON says.

use std::process::Output;

use serde_json::Value;

/// One look of the doctor.
pub struct Told {
    pub json: Value,
    pub exit: i32,
}

impl Told {
    pub fn of(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(&said).unwrap_or_else(|error| {
            let cried = String::from_utf8_lossy(&output.stderr);
            panic!("no JSON ({error}): {said}\n{cried}")
        });
        let exit = output.status.code().unwrap();
        Self { json, exit }
    }

    /// The service's part.
    pub fn service(&self, name: &str) -> &Value {
        let services = self.json["services"].as_array().unwrap();
        let found = services.iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("nothing is told of {name}: {:#}", self.json))
    }

    /// The codes held against all of a service's instances, in their order, its own findings and what was skipped
    /// behind them.
    pub fn codes(&self, service: &str) -> Vec<String> {
        let service = self.service(service);
        let instances = list(&service["instances"]);
        let mut codes: Vec<String> = instances
            .flat_map(|it| list(&it["codes"]))
            .filter_map(|code| code.as_str().map(str::to_owned))
            .collect();
        for part in ["findings", "skipped"] {
            let own = list(&service[part]).filter_map(|it| it["code"].as_str());
            codes.extend(own.map(str::to_owned));
        }
        codes
    }

    /// The codes of the registry itself, its members' among them, each once.
    pub fn registry_codes(&self) -> Vec<String> {
        let registries = list(&self.json["registries"]);
        let parts = registries.flat_map(|it| list(&it["members"]).chain(list(&it["findings"])));
        let codes = parts.filter_map(|it| it["code"].as_str());
        let mut codes: Vec<String> = codes.map(str::to_owned).collect();
        codes.dedup();
        codes
    }

    /// What was seen at the only instance of a service.
    pub fn seen(&self, service: &str) -> &Value {
        &self.service(service)["instances"][0]["seen"]
    }

    /// How much is said of registries that has no code.
    pub fn notes(&self) -> usize {
        let registries = list(&self.json["registries"]);
        let findings = registries.flat_map(|it| list(&it["findings"]));
        findings.filter(|it| it["code"].is_null()).count()
    }

    /// What is said of the only instance of a service.
    pub fn verdict(&self, service: &str) -> &str {
        let instances = &self.service(service)["instances"];
        assert_eq!(instances.as_array().map(Vec::len), Some(1), "{instances}");
        instances[0]["verdict"].as_str().unwrap()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
