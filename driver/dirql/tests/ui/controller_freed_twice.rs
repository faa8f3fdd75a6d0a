//! A controller that was kept is freed once.

use dirql::irql::Dispatch;
use dirql::legacy::KeptController;

fn finish(controller: KeptController, irql: &mut Dispatch) {
    controller.free(irql);
    controller.free(irql);
}

fn main() {}
