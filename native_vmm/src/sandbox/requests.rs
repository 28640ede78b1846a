//! What the guest asks for by `out`: fetched once from the mailbox, checked, served.

use host_guest_abi::exit::{
    EXIT_HOST_CALL, EXIT_IMAGE, EXIT_LOG, EXIT_NOP, EXIT_PANIC, EXIT_PROTECT, EXIT_READY,
    EXIT_RELEASE, EXIT_REMAP, EXIT_TRAP_ENTRY,
};
use host_guest_abi::layout::{IMAGE, IMAGE_END, TEXT, TEXT_BYTES};
use host_guest_abi::status::{STATUS_LIMIT, STATUS_OK};

use super::exit::{Exit, State};
use super::guest::Guest;
use super::mailbox::Mailbox;
use crate::memory::Answer;

/// A rule that an honest guest keeps was broken.
pub struct Violation(pub &'static str);

impl From<&'static str> for Violation {
    fn from(rule: &'static str) -> Self {
        Self(rule)
    }
}

impl Guest {
    /// Serves a request; `None` if the guest may go on at once.
    pub(super) fn request(&mut self, code: u32) -> Result<Option<Exit>, Violation> {
        self.trapping = false;
        self.request_sequence = self.mailbox().request_sequence();
        match u64::from(code) {
            EXIT_READY => self.ready().map(Some),
            EXIT_HOST_CALL => self.host_call().map(Some),
            EXIT_LOG => self.log().map(Some),
            EXIT_PANIC => self.panic().map(Some),
            EXIT_TRAP_ENTRY => self.set_trap_entry(),
            EXIT_PROTECT => self.serve(|guest, [a, b, c]| guest.memory.protect((a, b, c))),
            EXIT_REMAP => self.serve(|guest, [a, b, c]| guest.memory.remap((a, b, c))),
            EXIT_RELEASE => self.serve(|guest, [index, ..]| guest.memory.release(index)),
            EXIT_IMAGE => self.serve(|guest, [a, b, c]| guest.memory.image((a, b, c))),
            EXIT_NOP => Ok(None),
            _ => Err(Violation("an unknown request")),
        }
    }

    fn ready(&mut self) -> Result<Exit, Violation> {
        let done = self.mailbox().done();
        if done.sequence != self.sequence {
            return Err(Violation("the end of another command"));
        }
        if done.status == STATUS_OK {
            return Ok(Exit::Done {
                values: done.values,
            });
        }
        let status = i32::try_from(done.status).ok();
        let status = status.filter(|_| done.status <= STATUS_LIMIT);
        let status = status.ok_or(Violation("an unknown status"))?;
        self.take_text(done.text_bytes)?;
        Ok(Exit::Failed {
            status,
            values: done.values,
        })
    }

    fn host_call(&mut self) -> Result<Exit, Violation> {
        if self.state == State::Booting {
            return Err(Violation("a host call while booting"));
        }
        self.counters.host_calls += 1;
        let [function, pointer] = self.arguments();
        Ok(Exit::HostCall { function, pointer })
    }

    fn log(&mut self) -> Result<Exit, Violation> {
        let [level, bytes] = self.arguments();
        self.take_text(bytes)?;
        self.answer_request(0, 0);
        Ok(Exit::Log { level })
    }

    fn panic(&mut self) -> Result<Exit, Violation> {
        let [bytes] = self.arguments();
        self.take_text(bytes)?;
        Ok(Exit::Panic)
    }

    fn set_trap_entry(&mut self) -> Result<Option<Exit>, Violation> {
        let [address] = self.arguments();
        if !(IMAGE..IMAGE_END).contains(&address) {
            return Err(Violation("a trap entry outside of the guest image"));
        }
        self.trap_entry = Some(address);
        self.answer_request(0, 0);
        Ok(None)
    }

    /// Serves a request for memory.
    fn serve(
        &mut self,
        change: impl FnOnce(&mut Self, [u64; 3]) -> Answer,
    ) -> Result<Option<Exit>, Violation> {
        self.counters.protects += 1;
        let arguments = self.arguments();
        let errno = change(self, arguments)?;
        self.answer_request(u64::from(errno.unsigned_abs()), 0);
        Ok(None)
    }

    /// Writes the answer to the last request.
    pub(super) fn answer_request(&self, status: u64, value: u64) {
        self.mailbox()
            .write_answer(self.request_sequence, status, value);
    }

    /// Copies text that the guest left; the guest may change its own at any time.
    fn take_text(&mut self, bytes: u64) -> Result<(), Violation> {
        if bytes > TEXT_BYTES {
            return Err(Violation("a text longer than its area"));
        }
        self.text.clear();
        self.memory.region.read(TEXT, bytes, &mut self.text);
        Ok(())
    }

    fn arguments<const N: usize>(&self) -> [u64; N] {
        let mailbox = self.mailbox();
        let mut arguments = [0; N];
        for (index, argument) in (0..).zip(&mut arguments) {
            *argument = mailbox.request_argument(index);
        }
        arguments
    }

    pub(super) const fn mailbox(&self) -> Mailbox<'_> {
        Mailbox::new(&self.memory.region)
    }
}
