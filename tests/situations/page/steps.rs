//! What is to be done, read off a page.

/// Commands that print what the page shows, and end.
const PRINTS: [&str; 4] = [
    "tidegate doctor ",
    "tidegate explain ",
    "tidegate resolve ",
    "tidegate why ",
];
/// The command that goes on.
const RUNS: &str = "tidegate run ";

/// One thing that the page does, or says.
pub enum Step {
    /// This is the situation from here on.
    Lab(String),
    /// A file of this name stands where commands are run.
    File(String, String),
    /// These are run.
    Commands(Vec<String>),
    /// A client calls through tidegate.
    Call,
    /// So much of what was said last is shown.
    Said(String),
}

/// All of them, in their order.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut file, mut prints) = (None, false);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = mark(line, "lab") {
            steps.push(Step::Lab(name.to_owned()));
        } else if let Some(name) = mark(line, "file") {
            file = Some(name.to_owned());
        } else if line == "<!-- call -->" {
            steps.push(Step::Call);
            prints = true;
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|it| *it != "```").collect();
            let text: String = block.iter().map(|it| format!("{it}\n")).collect();
            match language {
                "sh" => {
                    let commands = commands(&block);
                    prints = commands.iter().any(|it| !it.starts_with(RUNS));
                    steps.push(Step::Commands(commands));
                }
                "text" if std::mem::take(&mut prints) => steps.push(Step::Said(text)),
                _ => steps.extend(file.take().map(|name| Step::File(name, text))),
            }
        }
    }
    steps
}

/// `<!-- NAME: WHAT -->`, which a reader of the page does not see.
fn mark<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix("<!-- ")?.strip_prefix(name)?;
    rest.strip_prefix(": ")?.strip_suffix(" -->")
}

/// The lines of a block that are run, without their comments.
fn commands(block: &[&str]) -> Vec<String> {
    let known =
        |it: &&&str| it.starts_with(RUNS) || PRINTS.iter().any(|prefix| it.starts_with(prefix));
    let bare = |it: &&str| it.split(" #").next().unwrap_or_default().trim().to_owned();
    block.iter().filter(known).map(bare).collect()
}

/// Whether the lines shown are all said, in their order.
pub fn has(said: &str, shown: &str) -> bool {
    let said = words(said);
    let mut rest = said.as_str();
    shown
        .split("…\n")
        .map(words)
        .all(|part| match rest.find(&part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
        && !words(shown).is_empty()
}

/// What is said, without the first lines where the page left them out before.
pub fn cut(said: &str, shown: &str) -> String {
    let from = shown.strip_prefix("…\n").and_then(|it| it.lines().next());
    let Some(first) = from.map(words) else {
        return said.to_owned();
    };
    let rest: Vec<&str> = said.lines().skip_while(|it| words(it) != first).collect();
    match rest.is_empty() {
        true => said.to_owned(),
        false => format!("…\n{}\n", rest.join("\n")),
    }
}

/// What does not differ from run to run: quantities are masked, and lines may break elsewhere.
fn words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit() || ".:-".contains(c));
            let number = &rest[..rest.len() - behind.len()];
            let (shown, after) = masked(number, behind);
            out.push_str(&shown);
            rest = after;
        } else {
            if !c.is_whitespace() {
                out.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// A number as it is compared, and what stands behind it and its unit.
fn masked<'a>(number: &str, behind: &'a str) -> (String, &'a str) {
    const UNITS: [&str; 7] = ["ns", "us", "µs", "ms", "min", "s", "Z"];
    let unit = UNITS.iter().find_map(|unit| {
        let after = behind.trim_start_matches(' ').strip_prefix(unit)?;
        (!after.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(after)
    });
    let ephemeral = number.rsplit_once(':').filter(|(_, port)| {
        let port = port.parse::<u16>();
        port.is_ok_and(|it| it >= 32_768)
    });
    match (unit, ephemeral) {
        (Some(after), _) => ("#".to_owned(), after),
        // The first instant, which may be 0, and the day.
        _ if behind.trim_start().starts_with('·') || is_day(number) => ("#".to_owned(), behind),
        (None, Some((host, _))) => (format!("{host}:#"), behind),
        (None, None) => (number.to_owned(), behind),
    }
}

/// `11-25`.
fn is_day(number: &str) -> bool {
    let parts = number.split_once('-');
    parts.is_some_and(|(month, day)| {
        [month, day]
            .iter()
            .all(|it| it.len() == 2 && it.parse::<u8>().is_ok())
    })
}
