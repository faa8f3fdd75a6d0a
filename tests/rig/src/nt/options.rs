//! What the host asks of a run: words of `key=value` in a fw_cfg file.

use alloc::string::{String, ToString};

use rig_protocol::IrqKind;

use crate::machine::fw_cfg;
use crate::machine::stop::refuse;
use crate::machine::sync::IrqLock;
use crate::nt::budget;
use crate::nt::cancel_storm;
use crate::nt::chance;
use crate::nt::delay;
use crate::nt::etw::session;
use crate::nt::hang;
use crate::nt::interrupt::{merge, neighbour, spurious, target};
use crate::nt::load;
use crate::nt::measure;
use crate::nt::mishap;
use crate::nt::node::MAX_MESSAGES;
use crate::nt::register_access::absence;
use crate::nt::registry;
use crate::nt::statistics;

/// The file's name.
const FILE: &str = "opt/dirql/options";

/// Which forms of IoConnectInterruptEx the platform offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectForms {
    /// All of them.
    Any,
    /// As a platform before Windows Vista: drivers must fall back to it.
    FullySpecifiedOnly,
}

/// The IRQL at which a device's stack is sent its power IRPs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerIrql {
    /// PASSIVE_LEVEL: the stack is DO_POWER_PAGABLE.
    Passive,
    /// DISPATCH_LEVEL.
    Dispatch,
}

/// What kind of driver is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// With an AddDevice routine.
    Wdm,
    /// Without PnP.
    Legacy,
}

/// The options.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line, on or off whatever the others are"
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The interrupt resource that devices are assigned.
    pub(crate) irq: IrqKind,
    /// The lines' ISRs run at PASSIVE_LEVEL.
    pub(crate) is_passive: bool,
    /// See [`ConnectForms`].
    pub(crate) connect: ConnectForms,
    /// Call the ISR once while the interrupt is being connected.
    pub(crate) early_isr: bool,
    /// See [`Model`].
    pub(crate) model: Model,
    /// See [`PowerIrql`].
    pub(crate) power_irql: PowerIrql,
    /// Which call of PoRequestPowerIrp, from 1, finds no memory; 0 for none.
    pub(crate) fail_power_request: u32,
    /// How many messages a device is granted.
    pub(crate) messages: usize,
    /// Threaded DPCs run in threads; otherwise as ordinary DPCs.
    pub(crate) threaded_dpcs: bool,
    /// A device that is started may access memory and send messages.
    pub(crate) bus_master: bool,
    /// Map registers that a DMA adapter grants at most.
    pub(crate) dma_map_registers: usize,
    /// The bus driver pends what it can, and completes it late.
    pub(crate) is_bus_late: bool,
    /// A filter driver is above the driver under test.
    pub(crate) has_filter: bool,
}

static OPTIONS: IrqLock<Options> = IrqLock::new(Options {
    irq: IrqKind::Msi,
    is_passive: false,
    connect: ConnectForms::Any,
    early_isr: false,
    model: Model::Wdm,
    power_irql: PowerIrql::Passive,
    fail_power_request: 0,
    messages: 1,
    threaded_dpcs: true,
    bus_master: true,
    dma_map_registers: 16,
    is_bus_late: false,
    has_filter: false,
});

/// The options of this run.
pub(crate) fn get() -> Options {
    OPTIONS.with(|options| *options)
}

/// Changes the options of this run.
pub(crate) fn set(options: Options) {
    OPTIONS.with(|current| *current = options);
}

/// Reads the options; refuses to run with one that is unknown. What `self-test`
/// names, if it is given.
pub(crate) fn read() -> Option<String> {
    let bytes = fw_cfg::file(FILE).unwrap_or_default();
    let Ok(text) = core::str::from_utf8(&bytes) else {
        refuse(format_args!("The options in {FILE} are not text."));
    };
    let mut options = get();
    let mut self_test = None;
    for word in text.trim_matches('\0').split_whitespace() {
        match word.split_once('=') {
            Some(("irq", "msi")) => options.irq = IrqKind::Msi,
            Some(("irq", "intx")) => options.irq = IrqKind::Intx,
            Some(("irq", "passive")) => {
                options.irq = IrqKind::Intx;
                options.is_passive = true;
            }
            Some(("connect", "any")) => options.connect = ConnectForms::Any,
            Some(("connect", "fully-specified")) => {
                options.connect = ConnectForms::FullySpecifiedOnly;
            }
            Some(("irq-target", choice)) if target::choose(choice) => {}
            Some(("neighbour", seed)) if neighbour::choose(seed) => {}
            Some(("spurious", seed)) if spurious::choose(seed) => {}
            Some(("merge-messages", count)) if merge::choose(count) => {}
            Some(("messages", count)) => options.messages = messages(count),
            Some(("early-isr", "on")) => options.early_isr = true,
            Some(("early-isr", "off")) => options.early_isr = false,
            Some(("threaded-dpcs", "on")) => options.threaded_dpcs = true,
            Some(("threaded-dpcs", "off")) => options.threaded_dpcs = false,
            Some(("cancel-storm", seed)) => match seed.parse() {
                Ok(seed) => {
                    chance::begin(seed);
                    cancel_storm::begin();
                }
                Err(error) => refuse(format_args!("The option '{word}' needs a number: {error}.")),
            },
            Some(("delays", seed)) => match seed.parse() {
                Ok(seed) => {
                    chance::begin(seed);
                    delay::begin();
                }
                Err(error) => refuse(format_args!("The option '{word}' needs a number: {error}.")),
            },
            Some(("seed", seed)) => match seed.parse() {
                Ok(seed) => chance::begin(seed),
                Err(error) => refuse(format_args!("The option '{word}' needs a number: {error}.")),
            },
            Some(("mishaps", names)) if mishap::allow(names) => {}
            Some(("budgets", factor)) => match factor.parse() {
                Ok(factor) => budget::enforce(factor),
                Err(error) => refuse(format_args!("The option '{word}' needs a number: {error}.")),
            },
            Some(("model", "wdm")) => options.model = Model::Wdm,
            Some(("model", "legacy")) => options.model = Model::Legacy,
            Some(("patience", seconds)) => match seconds.parse() {
                Ok(seconds) => hang::set_limit_seconds(seconds),
                Err(error) => refuse(format_args!("The option '{word}' needs a number: {error}.")),
            },
            Some(("parameter", value)) if registry::add_parameter(value) => {}
            Some(("power-irql", "passive")) => options.power_irql = PowerIrql::Passive,
            Some(("power-irql", "dispatch")) => options.power_irql = PowerIrql::Dispatch,
            Some(("fail-power-request", number)) => {
                options.fail_power_request = number.parse().unwrap_or_else(|_| {
                    refuse(format_args!(
                        "The option '{word}' must be the number of a call, or 0."
                    ))
                });
            }
            Some(("bus-master", "on")) => options.bus_master = true,
            Some(("bus-master", "off")) => options.bus_master = false,
            Some(("reads", "normal")) => absence::begin_after(None),
            Some(("reads", how)) => match how.strip_prefix("ones-after:").map(str::parse) {
                Some(Ok(accesses)) => absence::begin_after(Some(accesses)),
                _ => refuse(format_args!(
                    "The option '{word}' must be reads=normal, or reads=ones-after: with the number of register accesses that the device answers."
                )),
            },
            Some(("dma-map-registers", count)) => match count.parse() {
                Ok(count) if (1..=64).contains(&count) => options.dma_map_registers = count,
                _ => refuse(format_args!(
                    "The option '{word}' does not say how many map registers there are: 1 to 64."
                )),
            },
            Some(("bus", "late")) => options.is_bus_late = true,
            Some(("bus", "prompt")) => options.is_bus_late = false,
            Some(("filter", "on")) => options.has_filter = true,
            Some(("filter", "off")) => options.has_filter = false,
            Some(("tracing", word)) if session::choose(word) => {}
            Some(("statistics", "on")) => statistics::enable(),
            Some(("measure", "on")) => measure::begin(),
            Some(("debugger", "on")) => load::wait_for_debugger(),
            Some(("self-test", rule)) => self_test = Some(rule.to_string()),
            _ => refuse(format_args!(
                "The option '{word}' is unknown. Known are: irq=msi|intx|passive, connect=any|fully-specified, early-isr=on|off, threaded-dpcs=on|off, messages=N, irq-target=fixed|rotate|SEED, neighbour=SEED, spurious=SEED, merge-messages=N, seed=N, mishaps=dpc-inside-insert,late-dpc,dpc-elsewhere,timer-before-cancel|all, cancel-storm=SEED, delays=SEED, model=wdm|legacy, patience=SECONDS, budgets=FACTOR, parameter=NAME:TYPE:VALUE, power-irql=passive|dispatch, fail-power-request=N, dma-map-registers=N, bus-master=on|off, reads=normal|ones-after:N, bus=prompt|late, filter=on|off, tracing=on|off, statistics=on, measure=on, debugger=on, self-test=RULE-ID|list."
            )),
        }
    }
    set(options);
    self_test
}

/// A number of messages.
fn messages(text: &str) -> usize {
    match text.parse() {
        Ok(count) if (1..=MAX_MESSAGES).contains(&count) => count,
        _ => refuse(format_args!(
            "A device is granted 1 to {MAX_MESSAGES} messages, and the options ask for '{text}'."
        )),
    }
}
