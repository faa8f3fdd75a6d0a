//! Checks and what happens when one fails.
//!
//! Every check is counted, so that a report of "no violation" also says how
//! often one could have been found.

use core::fmt;

use crate::machine::image;
use crate::machine::stop::{Context, capture_context, stop};
use crate::nt::rule::Rule;

/// Counts one check of a rule and ends the run when the condition does not hold.
macro_rules! check {
    ($rule:ident, $routine:expr, $condition:expr, $($text:tt)+) => {{
        $crate::nt::counters::checked($crate::nt::rule::Rule::$rule);
        if !$condition {
            $crate::nt::violation::violation(
                $crate::nt::rule::Rule::$rule,
                ::core::convert::AsRef::<str>::as_ref(&$routine),
                ::core::format_args!($($text)+),
            )
        }
    }};
}
pub(crate) use check;

/// As [`check`], of an access to a device register: the code that makes it is where the
/// rule is broken.
macro_rules! check_access {
    ($rule:ident, $access:expr, $condition:expr, $($text:tt)+) => {{
        $crate::nt::counters::checked($crate::nt::rule::Rule::$rule);
        if !$condition {
            $crate::nt::violation::violation_at(
                $crate::nt::rule::Rule::$rule,
                $access.context,
                ::core::format_args!($($text)+),
            )
        }
    }};
}
pub(crate) use check_access;

/// Ends the run: `rule` was broken in `routine`. Any IRQL, any processor.
#[cold]
#[inline(never)]
pub(crate) fn violation(rule: Rule, routine: &str, text: fmt::Arguments<'_>) -> ! {
    let context = capture_context();
    stop(
        rule.id(),
        routine,
        format_args!("{text} The rule: {}", rule.sentence()),
        &context,
    )
}

/// Ends the run: `rule` was broken by the code there. Any IRQL, any processor.
#[cold]
#[inline(never)]
pub(crate) fn violation_at(rule: Rule, context: &Context, text: fmt::Arguments<'_>) -> ! {
    stop(
        rule.id(),
        image::name_of(context.rip),
        format_args!("{text} The rule: {}", rule.sentence()),
        context,
    )
}

/// Ends the run with something that is no rule's: a bug check, a hang.
#[cold]
#[inline(never)]
pub(crate) fn fatal(code: &str, routine: &str, text: fmt::Arguments<'_>) -> ! {
    let context = capture_context();
    stop(code, routine, text, &context)
}
