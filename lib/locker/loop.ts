/**
 * The locker: carries out what the window's state machine decides, and reports events to it.
 * Everything is loaded and opened before the lock; while it is held nothing is written to a
 * disk and nothing new is opened.
 */
import { parseCaller } from "../callers/table.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { transition, type WindowAction, type WindowEvent } from "../window/window.ts";
import { ACTIONS, type LockerEnds, report } from "./actions.ts";
import { defect } from "./defect.ts";
import { LOCKER_LIMITS, type LockerLimits } from "./limits.ts";
import { type LockerPorts, systemPorts } from "./ports.ts";
import { prepareAll } from "./prepare.ts";
import { reportRefusal } from "./report.ts";
import { beginRun, type LockerRequest } from "./run.ts";

/** Opens, holds and closes one window. Resolves when everything of it is gone. */
export async function runLocker(
  request: LockerRequest,
  ports: LockerPorts = systemPorts,
  limits: LockerLimits = LOCKER_LIMITS,
): Promise<void> {
  const { preFreeze } = request;
  const watchLockFile = ports.runDirectory.openLockFiles();
  if (isRefusal(watchLockFile)) {
    preFreeze.send({ event: "refused", refusal: watchLockFile });
    await reportRefusal(ports, request, watchLockFile);
    return;
  }
  const over = Promise.withResolvers<void>();
  const dispatch = (event: WindowEvent) => {
    run.detail ??= detailOf(event);
    const before = run.window.phase;
    const next = transition(run.window, event, run.now());
    run.window = next.window;
    const { window } = run;
    if (window.phase !== before) {
      run.mark("reason" in window ? `${window.phase} (${window.reason})` : window.phase);
    }
    for (const action of next.actions) {
      ACTIONS[action](run, ends).catch((error) => {
        const failure = failureOf(action, defect(error));
        if (failure === null) over.reject(error);
        else dispatch(failure);
      });
    }
  };
  const run = beginRun(request, ports, limits, dispatch);
  const control = ports.runDirectory.openControlServer({
    onThaw: () => dispatch({ type: "ThawRequested" }),
    onAbort: () => dispatch({ type: "AbortRequested" }),
    record: () => run.record(),
  });
  const lockFile = watchLockFile({
    onHook: () => dispatch({ type: "ThawHookSeen" }),
    onRemoved: () => dispatch({ type: "LockFileRemoved" }),
    isThawedBy: (name) =>
      request.caller === null || request.caller === name || parseCaller(name) === null,
  });
  const ticking = setInterval(() => {
    lockFile.check();
    dispatch({ type: "TimePassed" });
  }, limits.tickMs);
  const ends: LockerEnds = {
    control,
    stopWatching() {
      clearInterval(ticking);
      lockFile.close();
    },
    over: () => over.resolve(),
  };
  ports.onSignal((signal) => dispatch({ type: "SignalReceived", signal }));
  preFreeze.accepted.then((isAccepted) => {
    dispatch({ type: isAccepted ? "PreFreezeAccepted" : "PreFreezeLost" });
    ports.dropSyncRight(); // no `sync` from here on
  });
  run.mark(run.window.phase);
  report(run, prepareAll);
  await over.promise;
}

/** What an event says that a person needs to know beyond the reason. */
function detailOf(event: WindowEvent): string | null {
  switch (event.type) {
    case "SessionLost":
    case "ConnectionsNearLimit":
      return event.why;
    case "SignalReceived":
      return `got ${event.signal}`;
    default:
      return null;
  }
}

/** What a defect in an action means for the window; null where it cannot be closed any more. */
function failureOf(action: WindowAction, why: Refusal): WindowEvent | null {
  switch (action) {
    case "prepare":
      return { type: "PreparationFailed", refusal: why };
    case "lock":
      return { type: "LockRefused", refusal: why };
    case "secure":
    case "answer":
      return { type: "SecuringFailed", refusal: why };
    case "confirm":
      return { type: "PreFreezeLost" };
    case "release":
      return { type: "ReleaseFinished", proof: "cut" };
    case "close":
      return null;
    default:
      return action satisfies never;
  }
}
