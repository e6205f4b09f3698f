/** Where the program of a self-extracting file begins. */

import { keepDebuggerShut } from "../cmd/debugger_guard.ts";
import { forgetSteering } from "./steering.ts";

keepDebuggerShut();
// Deno has read them by now.
forgetSteering();
await import("../main.ts");
