//! Names of core modules as names of WIT.

use std::collections::HashSet;

/// Gives out kebab-case names, each once.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Names that are taken from the start.
    pub(super) fn without(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| (*name).to_owned()).collect())
    }

    /// A new name made from `name`; numbered if an earlier one came to the same.
    pub(super) fn add(&mut self, name: &str) -> String {
        let base = kebab(name);
        let mut candidate = base.clone();
        let mut number = 1_u64;
        while !self.0.insert(candidate.clone()) {
            number += 1;
            candidate = format!("{base}-v{number}");
        }
        candidate
    }
}

/// `addTwo`, `add_two` and `Add-Two` become `add-two`, `_start` becomes `start`. A word must
/// start with a letter, so digits stay with the word before them.
fn kebab(name: &str) -> String {
    let mut result = String::new();
    let mut word_ended = false;
    let mut was_lower = false;
    for character in name.chars() {
        if !character.is_ascii_alphanumeric() {
            word_ended = true;
            continue;
        }
        let starts_word = word_ended || (was_lower && character.is_ascii_uppercase());
        if result.is_empty() && character.is_ascii_digit() {
            result.push('n');
        } else if starts_word && !result.is_empty() && character.is_ascii_alphabetic() {
            result.push('-');
        }
        result.push(character.to_ascii_lowercase());
        word_ended = false;
        was_lower = !character.is_ascii_uppercase();
    }
    if result.is_empty() {
        result.push_str("unnamed");
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{Names, kebab};

    #[test]
    fn words() {
        for (name, expected) in [
            ("add", "add"),
            ("addTwo", "add-two"),
            ("add_two", "add-two"),
            ("Add--Two", "add-two"),
            ("_start", "start"),
            ("HTTPServer", "httpserver"),
            ("sha256", "sha256"),
            ("sha_256", "sha256"),
            ("2nd", "n2nd"),
            ("_ZN3foo3barE", "zn3foo3bar-e"),
            ("größe", "gr-e"),
            ("", "unnamed"),
            ("\u{1f600}", "unnamed"),
        ] {
            assert_eq!(kebab(name), expected, "{name}");
        }
    }

    #[test]
    fn each_once() {
        let mut names = Names::without(&["memory"]);
        let given = ["memory", "a_b", "aB", "a-b", "a-b-v2"].map(|name| names.add(name));
        assert_eq!(given, ["memory-v2", "a-b", "a-b-v2", "a-b-v3", "a-b-v2-v2"]);
    }
}
