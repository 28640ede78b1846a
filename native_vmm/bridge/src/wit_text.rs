//! WIT as text that may not become too long.
//!
//! A type without a name is printed wherever it is used, and so is the name of a type. The
//! validator bounds how many types there are then, but not how long their names are.

use std::panic::{self, AssertUnwindSafe};

use wit_component::{Output, WitPrinter};
use wit_parser::{PackageId, Resolve};

/// Why there is no text.
pub(crate) enum NoText {
    /// It would be too long.
    TooLong,
    /// What the printer says.
    Failed(String),
}

/// Prints a package, and others nested in it, and takes what it needs from `room`, in bytes.
pub(crate) fn print(
    resolve: &Resolve,
    package: PackageId,
    nested: &[PackageId],
    room: &mut usize,
) -> Result<String, NoText> {
    let mut printer = WitPrinter::new(Bounded::new(*room));
    // Nothing that unwinding can leave half-done is looked at afterwards.
    let printed = panic::catch_unwind(AssertUnwindSafe(|| {
        printer.print(resolve, package, nested)?;
        Ok::<_, anyhow::Error>(printer.output)
    }));
    match printed {
        Ok(Ok(output)) => {
            *room = output.room;
            Ok(output.text)
        }
        Ok(Err(error)) => Err(NoText::Failed(format!("{error:#}"))),
        Err(cause) if cause.is::<Full>() => Err(NoText::TooLong),
        Err(cause) => panic::resume_unwind(cause),
    }
}

/// What the printer is ended with, which knows of no other way: it would go on for as long as
/// the text is.
struct Full;

/// Text with a bound, indented by two spaces.
struct Bounded {
    text: String,
    room: usize,
    indent: usize,
    at_start_of_line: bool,
}

impl Bounded {
    fn new(room: usize) -> Self {
        Self {
            text: String::new(),
            room,
            indent: 0,
            at_start_of_line: false,
        }
    }
}

impl Output for Bounded {
    fn push_str(&mut self, text: &str) {
        match self.room.checked_sub(text.len()) {
            Some(room) => self.room = room,
            // No panic, which would be reported.
            None => panic::resume_unwind(Box::new(Full)),
        }
        self.text.push_str(text);
    }

    fn indent_if_needed(&mut self) -> bool {
        let needed = self.at_start_of_line;
        if needed {
            self.at_start_of_line = false;
            for _ in 0..self.indent {
                self.push_str("  ");
            }
        }
        needed
    }

    fn indent_start(&mut self) {
        self.push_str(" {");
        self.indent += 1;
        self.newline();
    }

    fn indent_end(&mut self) {
        self.indent = self.indent.saturating_sub(1);
        self.indent_if_needed();
        self.push_str("}");
        self.newline();
    }

    fn newline(&mut self) {
        self.push_str("\n");
        self.at_start_of_line = true;
    }
}
