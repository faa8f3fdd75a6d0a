//! ControllerControl keeps the controller or deallocates it, and says which.

use dirql::legacy::{AllocatedController, Allocation, KeptController};

fn both(controller: AllocatedController<'_>, kept: &mut Option<KeptController>) -> Allocation {
    let allocation = controller.keep(|turn| *kept = Some(turn));
    drop(allocation);
    controller.deallocate()
}

fn neither(controller: AllocatedController<'_>) -> Allocation {
    drop(controller);
}

fn main() {}
