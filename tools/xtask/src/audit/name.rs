//! Names for a person: a critical section is called what the driver calls it, not what the
//! compiler calls its thunk.

use super::{entry::Kind, program::Program, symbols::Place, types::arguments};

/// A routine's name in the driver's words, and where its source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) place: Option<Place>,
}

/// Names an entry.
pub(super) fn of(program: &Program<'_>, routine: u64, kind: Kind) -> anyhow::Result<Named> {
    let full = program.name(routine);
    let (name, function) = match kind {
        Kind::CriticalSection | Kind::PassiveSection => section(&full),
        _ => (shortened(&full), full.clone()),
    };
    Ok(Named {
        name,
        place: first_line(program, routine, &function)?,
    })
}

/// The name of a critical section, and that of the function which is its body.
fn section(thunk: &str) -> (String, String) {
    let arguments = arguments(thunk);
    let (Some(closure), result) = (arguments.get(1), arguments.get(2)) else {
        return (shortened(thunk), thunk.to_owned());
    };
    let closure = innermost(closure);
    let body = body_of(closure);
    let mut name = plain(&body);
    // One function enters several sections when it is generic.
    if arguments_have_function(closure)
        && let Some(result) = result
    {
        name = format!("{name}, for {}", shortened(result));
    }
    (name, body)
}

/// The closure that another one only wraps: its last argument, if that is a closure.
fn innermost(closure: &str) -> &str {
    let wrapped = arguments(closure)
        .into_iter()
        .rev()
        .find(|argument| argument.contains("::closure_env$") && !argument.starts_with("enum2$"));
    match wrapped {
        Some(wrapped)
            if wrapped
                .split('<')
                .next()
                .is_some_and(|it| it.contains("closure_env$")) =>
        {
            innermost(wrapped)
        }
        _ => closure,
    }
}

fn arguments_have_function(closure: &str) -> bool {
    arguments(closure)
        .iter()
        .any(|argument| argument.contains("(*)"))
}

/// The function that is the body of a closure.
fn body_of(closure: &str) -> String {
    let path = closure.split('<').next().unwrap_or(closure);
    path.replace("closure_env$", "closure$")
}

/// The path of a function, without its arguments and what the compiler adds.
pub(super) fn plain(function: &str) -> String {
    let (mut path, mut depth) = (String::new(), 0_usize);
    for letter in function.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => path.push(letter),
            _ => {}
        }
    }
    let parts: Vec<&str> = path
        .split("::")
        .filter(|part| !part.contains('$'))
        .collect();
    parts.join("::")
}

/// A name without the modules of its arguments, and with Rust's word for an enumeration.
pub(super) fn shortened(name: &str) -> String {
    let mut short = String::new();
    let mut word = String::new();
    let mut depth = 0_usize;
    let name = without_enum(name).replace("tuple$<>", "()");
    for letter in name.chars() {
        if letter.is_alphanumeric() || matches!(letter, '_' | ':' | '$') {
            word.push(letter);
            continue;
        }
        push_word(&mut short, &word, depth);
        word.clear();
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        short.push(letter);
    }
    push_word(&mut short, &word, depth);
    short
}

fn push_word(short: &mut String, word: &str, depth: usize) {
    let is_result = short.is_empty() && !word.contains("::impl$");
    let parts: Vec<&str> = word
        .split("::")
        .filter(|part| !part.starts_with("impl$"))
        .collect();
    if depth == 0 && is_result && !word.starts_with("core::") {
        short.push_str(&parts.join("::"));
    } else {
        short.push_str(parts.last().copied().unwrap_or_default());
    }
}

/// A name in which each enumeration stands for itself, and not in brackets: `enum2$<E>`.
fn without_enum(name: &str) -> String {
    const BEGIN: &str = "enum2$<";
    let (mut left, mut brackets, mut rest) = (String::new(), Vec::new(), name);
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(BEGIN) {
            brackets.push(true);
            rest = behind;
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        let is_of_enum = match letter {
            '<' => {
                brackets.push(false);
                false
            }
            '>' => brackets.pop().unwrap_or_default(),
            _ => false,
        };
        if !is_of_enum {
            left.push(letter);
        }
    }
    left.replace(" >", ">").trim_end().to_owned()
}

/// The first line of a function's in the code of a routine.
fn first_line(
    program: &Program<'_>,
    routine: u64,
    function: &str,
) -> anyhow::Result<Option<Place>> {
    let Some(code) = program.routines.get(&routine) else {
        return Ok(None);
    };
    let mut first: Option<Place> = None;
    for instruction in code.instructions() {
        for place in program.symbols.places(instruction.ip())? {
            let is_it = place.function == function
                || place
                    .function
                    .strip_prefix(function)
                    .is_some_and(|rest| rest.starts_with('<'));
            let is_earlier = first.as_ref().is_none_or(|first| place.line < first.line);
            if is_it && place.line > 0 && is_earlier {
                first = Some(place);
            }
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::{plain, section, shortened};

    #[test]
    fn a_section_is_called_what_the_driver_calls_it() {
        let thunk = "dirql::interrupt::synchronize::synch_crit_section<edu::bar::Shared,\
                     edu::recorder::section::closure$0::closure_env$0<dirql::irql::Passive,bool,\
                     edu::power::quiet::closure_env$0>,bool>";
        let (name, body) = section(thunk);
        assert_eq!(
            (name.as_str(), body.as_str()),
            ("edu::power::quiet", "edu::power::quiet::closure$0")
        );
        let generic = "dirql::interrupt::synchronize::synch_crit_section<S,\
                       edu::events::drain::closure$0::closure_env$0<a::Results<b::T>,\
                       a::Results<b::T> (*)(ref_mut$<c::C>)>,a::Results<b::T> >";
        assert_eq!(section(generic).0, "edu::events::drain, for a::Results<T>");
    }

    #[test]
    fn a_function_is_called_what_the_source_calls_it() {
        assert_eq!(
            plain("dirql::device::Device<edu::Edu>::hold_packet<edu::Edu>"),
            "dirql::device::Device::hold_packet"
        );
        assert_eq!(
            plain("dirql::irp::impl$4::input<a::B<c::D> >::closure$0"),
            "dirql::irp::input"
        );
    }

    #[test]
    fn modules_of_arguments_are_left_out() {
        assert_eq!(
            shortened("dirql::interrupt::service::isr_line<edu::bar::Shared,x::Saved>"),
            "dirql::interrupt::service::isr_line<Shared,Saved>"
        );
        assert_eq!(
            shortened("enum2$<core::option::Option<a::B> >"),
            "Option<B>"
        );
        assert_eq!(
            shortened("enum2$<core::option::Option<a::B<c::D<e::F> > > >"),
            "Option<B<D<F>>>"
        );
    }
}
