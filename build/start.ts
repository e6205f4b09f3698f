/** Where the program of a self-extracting file begins. */

import { forgetSteering } from "./steering.ts";

// Deno has read them by now.
forgetSteering();
await import("../main.ts");
