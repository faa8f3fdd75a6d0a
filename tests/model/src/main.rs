//! Explores every case, and prints what was seen: `cargo run --release -p model`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for case in model::cases::all() {
        let explored = case.explore();
        println!(
            "{:32} {:8} {:>9} states, depth {:>3}, {:.1} s",
            case.name,
            format!("{:?}", case.signal),
            explored.states,
            explored.depth,
            explored.time.as_secs_f64()
        );
        for (property, steps) in &explored.broken {
            println!("  BROKEN: {property}: {steps}");
            code = ExitCode::FAILURE;
        }
    }
    code
}
