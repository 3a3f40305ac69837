/** What holds for every sequence of events, on clocks that jump, stop and go back. */
import assert from "node:assert/strict";

import fc from "fast-check";

import { type Instant, isReached, plus } from "../../lib/base/clock.ts";
import {
  MAX_ATTEMPTS,
  nextDeadline,
  openWindow,
  RELEASE_LIMIT_MS,
  THAW_HOOK_GRACE_MS,
  transition,
  type Window,
  type WindowAction,
  type WindowEvent,
} from "../../lib/window/window.ts";
import { isFrozen } from "../../lib/window/freeze.ts";
import { instanceVerdict } from "../../lib/window/verdict.ts";
import { recordOf } from "../../lib/window/record.ts";
import { DETAILS } from "./record_fixtures.ts";
import { type EventName, EVENTS, LIMITS, OPENED } from "./fixtures.ts";

const HOOK_AFTER_THAW_MS = LIMITS.hookAfterThawMs ?? 0;

/** The event that takes a window on; random events alone hardly ever reach the interesting ones. */
const NEXT: Record<Window["phase"], EventName> = {
  preparing: "Prepared",
  locking: "LockAcquired",
  securing: "Secured",
  answering: "PreFreezeAccepted",
  held: "ThawRequested",
  releasing: "ReleaseFinished equal",
  settling: "ThawRequested",
  closed: "TimePassed",
};

/** One step of a script. */
interface ScriptStep {
  /** `onward` is the event that takes the window on, whatever its phase. */
  readonly event: EventName | "onward";
  /** How far both clocks go before the event. */
  readonly forwardMs: number;
  /** How far the wall clock alone goes: set forward, set back, or the machine was suspended. */
  readonly wallJumpMs: number;
}

/** One step as it went. */
interface Step {
  readonly before: Window;
  readonly event: WindowEvent;
  readonly now: Instant;
  readonly after: Window;
  readonly actions: readonly WindowAction[];
}

const eventName = fc.oneof(
  { weight: 6, arbitrary: fc.constant("onward" as const) },
  { weight: 1, arbitrary: fc.constant("TimePassed" as const) },
  // Not granted once is the way to the attempts after it.
  { weight: 1, arbitrary: fc.constant("LockNotGranted" as const) },
  // rm and then our own hook: two ways into the same thaw.
  { weight: 1, arbitrary: fc.constant("LockFileRemoved" as const) },
  // A freeze, and its end.
  { weight: 2, arbitrary: fc.constantFrom("FilesystemsFrozen", "FilesystemsThawed") },
  { weight: 3, arbitrary: fc.constantFrom(...Object.keys(EVENTS) as EventName[]) },
);

const forward = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 500 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
);

const wallJump = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -7_200_000, max: 7_200_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 90_000 }) }, // a suspend
);

const randomSteps = fc.array(
  fc.record({ event: eventName, forwardMs: forward, wallJumpMs: wallJump }),
  { maxLength: 25 },
);

/** Most of what can go wrong goes wrong in a held window: half of the scripts begin in one. */
const heldSteps = randomSteps.map((steps): readonly ScriptStep[] => [
  ...Array.from({ length: 4 }, () => ({ event: "onward", forwardMs: 10, wallJumpMs: 0 } as const)),
  ...steps,
]);

/** Half of those begin with a freeze that ends, too. */
const thawedSteps = heldSteps.map((steps): readonly ScriptStep[] => [
  ...steps.slice(0, 4),
  { event: "FilesystemsFrozen", forwardMs: 10, wallJumpMs: 0 },
  { event: "FilesystemsThawed", forwardMs: 300, wallJumpMs: 0 },
  ...steps.slice(4),
]);

/** The same after up to one attempt more than there may be, or in the middle of them. */
const repeatedSteps = fc.tuple(fc.nat(MAX_ATTEMPTS + 1), fc.oneof(randomSteps, heldSteps)).map(
  ([times, steps]): readonly ScriptStep[] => [
    ...Array.from({ length: times }, () => [
      { event: "onward", forwardMs: 10, wallJumpMs: 0 } as const,
      { event: "LockNotGranted", forwardMs: 10, wallJumpMs: 0 } as const,
    ]).flat(),
    ...steps,
  ],
);

const script: fc.Arbitrary<readonly ScriptStep[]> = fc.oneof(
  randomSteps,
  heldSteps,
  thawedSteps,
  repeatedSteps,
);

function run(steps: readonly ScriptStep[]): Step[] {
  let window: Window = openWindow(LIMITS, OPENED);
  let now = OPENED;
  return steps.map(({ event: name, forwardMs, wallJumpMs }) => {
    now = { monoMs: now.monoMs + forwardMs, wallMs: now.wallMs + forwardMs + wallJumpMs };
    const before = window;
    const event = EVENTS[name === "onward" ? NEXT[before.phase] : name];
    const next = transition(before, event, now);
    window = next.window;
    return { before, event, now, after: window, actions: next.actions };
  });
}

/** Goes on in a script's last window until it is closed, in time alone. */
function waitUntilClosed(steps: readonly Step[]): Step[] {
  let window: Window = steps.at(-1)?.after ?? openWindow(LIMITS, OPENED);
  // The wall clock stands still for ever: the monotonic one has to be enough.
  let now = steps.at(-1)?.now ?? OPENED;
  const waited: Step[] = [];
  for (let deadline = nextDeadline(window); deadline !== null; deadline = nextDeadline(window)) {
    assert.ok(waited.length < 5, `Still ${window.phase} after ${waited.length} deadlines`);
    now = { ...now, monoMs: Math.max(now.monoMs, deadline.monoMs) };
    const next = transition(window, EVENTS.TimePassed, now);
    waited.push({
      before: window,
      event: EVENTS.TimePassed,
      now,
      after: next.window,
      actions: next.actions,
    });
    window = next.window;
  }
  return waited;
}

function check(property: (steps: readonly Step[]) => void, runs = 3_000): void {
  fc.assert(fc.property(script, (steps) => property(run(steps))), { numRuns: runs });
}

Deno.test("every sequence of events, followed by time and reports of the release, ends closed", () => {
  check((steps) => {
    let window = steps.at(-1)?.after ?? openWindow(LIMITS, OPENED);
    let now = steps.at(-1)?.now ?? OPENED;
    for (let count = 0; count < 4; count++) {
      now = plus(now, Math.max(LIMITS.freezeTimeoutMs, LIMITS.holdTimeoutMs));
      window = transition(window, EVENTS.TimePassed, now).window;
      window = transition(window, EVENTS["ReleaseFinished equal"], now).window;
    }
    assert.equal(window.phase, "closed");
  });
});

Deno.test("time on the monotonic clock alone closes every window, even if no release ever reports", () => {
  const longest = Math.max(LIMITS.freezeTimeoutMs, LIMITS.holdTimeoutMs) + RELEASE_LIMIT_MS +
    Math.max(THAW_HOOK_GRACE_MS, HOOK_AFTER_THAW_MS);
  check((steps) => {
    const started = steps.at(-1)?.now ?? OPENED;
    const end = waitUntilClosed(steps).at(-1);
    if (end === undefined) return; // the script itself closed it
    assert.equal(end.after.phase, "closed");
    assert.ok(end.now.monoMs - started.monoMs <= longest);
  });
});

Deno.test("what was locked is released once and then closed once, and nothing is done after that", () => {
  check((steps) => {
    const actions = [...steps, ...waitUntilClosed(steps)].flatMap((step) => step.actions);
    const count = (wanted: WindowAction) => actions.filter((one) => one === wanted).length;
    assert.equal(count("release"), 1, actions.join());
    assert.equal(count("close"), 1, actions.join());
    assert.equal(actions.at(-1), "close");
    assert.equal(actions.at(-2), "release");
    for (const once of ["secure", "answer", "confirm"] as const) {
      assert.ok(count(once) <= 1);
    }
    const order = ["prepare", "lock", "secure", "answer", "confirm", "release", "close"];
    const places = actions.map((action) => Math.max(order.indexOf(action), order.indexOf("lock")));
    assert.deepEqual(places, places.toSorted((a, b) => a - b), actions.join());
  });
});

Deno.test("the lock is tried a bounded number of times, and prepared again only between two tries", () => {
  const seen = new Set<number>();
  check((script) => {
    const steps = [...script, ...waitUntilClosed(script)];
    const actions = steps.flatMap((step) => step.actions);
    const count = (wanted: WindowAction) => actions.filter((one) => one === wanted).length;
    const locks = count("lock");
    seen.add(locks);
    assert.ok(locks <= MAX_ATTEMPTS, actions.join());
    // One after each try but the last; where the window ends in between, also after that one.
    assert.ok(count("prepare") <= Math.min(locks, MAX_ATTEMPTS - 1), actions.join());
    for (const [index, action] of actions.entries()) {
      if (action === "prepare") {
        assert.equal(actions[index - 1], "lock", actions.join());
        assert.ok(["lock", "release"].includes(actions[index + 1] ?? ""), actions.join());
      }
      if (action === "lock") assert.ok([undefined, "prepare"].includes(actions[index - 1]));
    }
    let sent = 0;
    for (const step of steps) {
      sent += step.actions.filter((action) => action === "lock").length;
      assert.equal(step.after.attempts, sent, "attempts says how often the lock was sent");
    }
  });
  assert.deepEqual([...seen].sort(), Array.from({ length: MAX_ATTEMPTS + 1 }, (_, index) => index));
});

Deno.test("another attempt begins only after the one before has given everything back", () => {
  check((script) => {
    for (const { before, event, after, actions } of [...script, ...waitUntilClosed(script)]) {
      if (!actions.includes("prepare")) continue;
      assert.equal(before.phase, "locking");
      assert.equal(event.type, "LockNotGranted");
      assert.equal(after.phase, "preparing");
      assert.deepEqual(actions, ["prepare"]);
    }
  });
});

Deno.test("attempts do not lengthen pre-freeze: one freeze_timeout from the opening bounds them all", () => {
  check((script) => {
    for (const { now, after } of [...script, ...waitUntilClosed(script)]) {
      if (!["preparing", "locking", "securing", "answering"].includes(after.phase)) continue;
      assert.ok(!isReached(plus(OPENED, LIMITS.freezeTimeoutMs), now));
    }
  });
});

Deno.test("a window in which the server filled up is never application-consistent", () => {
  let reached = 0;
  check((script) => {
    const steps = [...script, ...waitUntilClosed(script)];
    const end = steps.at(-1)?.after;
    assert.ok(end?.phase === "closed");
    const crowded = steps.find(({ event, before }) =>
      event.type === "ConnectionsNearLimit" &&
      !["releasing", "settling", "closed"].includes(before.phase)
    );
    if (crowded === undefined) return;
    reached += 1;
    assert.equal(crowded.after.phase, "releasing");
    assert.ok(crowded.actions.includes("release"), "it is let go at once");
    assert.notEqual(end.verdict, "application-consistent");
    for (const proof of ["equal", "same-session", "moved", "unread", "cut", null] as const) {
      assert.notEqual(instanceVerdict(end, proof), "application-consistent");
    }
    if (crowded.before.phase !== "held" || !("reason" in crowded.after)) return;
    const isTooLate = crowded.after.reason === "hold-timeout";
    assert.ok(isTooLate || end.reason === "connections-near-limit");
    assert.equal(end.outcome, "expired");
  }, 6_000);
  assert.ok(reached > 30, `only ${reached} runs reached it`);
});

Deno.test("no instance is application-consistent where no thaw came while its lock was held", () => {
  let better = 0;
  check((script) => {
    const steps = [...script, ...waitUntilClosed(script)];
    const end = steps.at(-1)?.after;
    assert.ok(end?.phase === "closed");
    const verdict = instanceVerdict(end, "equal");
    assert.ok(verdict === end.verdict || verdict === "application-consistent");
    if (verdict !== "application-consistent") return;
    if (end.verdict !== verdict) better += 1;
    assert.ok(end.wasHeld);
    const release = steps.find((step) => step.actions.includes("release"));
    assert.ok(release?.before.phase === "held");
    assert.ok(
      ["ThawRequested", "ThawHookSeen", "FilesystemsThawed"].includes(release.event.type),
    );
    const thaw = steps.find(({ event, before, after }) =>
      event.type === "ThawRequested" && before !== after
    );
    assert.ok(thaw !== undefined, "a thaw that meant something");
  }, 6_000);
  assert.ok(better > 0, "no run had an instance that is better than its window");
});

Deno.test("application-consistent is reached only by a thaw in time, with equal coordinates, after no loss", () => {
  let reached = 0;
  let reachedThroughHook = 0;
  let reachedThroughThaw = 0;
  check((script) => {
    const steps = [...script, ...waitUntilClosed(script)];
    const end = steps.at(-1)?.after;
    assert.ok(end?.phase === "closed");
    if (end.verdict !== "application-consistent") return;
    reached += 1;

    const locked = steps.find((step) => step.after.phase === "securing");
    const promised = steps.find((step) => step.after.phase === "held");
    const releaseAt = steps.findIndex((step) => step.actions.includes("release"));
    const release = steps[releaseAt];
    assert.ok(locked !== undefined && promised !== undefined && release !== undefined);
    assert.equal(promised.event.type, "PreFreezeAccepted");
    assert.equal(release.before.phase, "held");

    const deadline = plus(locked.now, LIMITS.holdTimeoutMs);
    assert.ok(release.now.monoMs < deadline.monoMs, "released before the monotonic deadline");
    assert.ok(release.now.wallMs < deadline.wallMs, "released before the deadline on the wall");

    for (const { event } of steps.slice(0, releaseAt)) {
      assert.ok(
        ![
          "SessionLost",
          "SignalReceived",
          "AbortRequested",
          "ConnectionsNearLimit",
        ].includes(event.type),
      );
    }
    const rest = steps.slice(releaseAt + 1);
    const finished = rest.find((step) => step.event.type === "ReleaseFinished");
    assert.ok(finished?.event.type === "ReleaseFinished");
    assert.ok(["equal", "same-session"].includes(finished.event.proof));

    for (const step of steps.slice(0, releaseAt)) {
      if (step.event.type !== "FilesystemsFrozen") continue;
      assert.equal(step.before.phase, "held", "no freeze before the answer");
      assert.ok(!step.event.isFromTheStart || isFrozen(step.before));
    }
    if (release.event.type === "ThawRequested") return;
    if (release.event.type === "FilesystemsThawed") {
      reachedThroughThaw += 1;
      const heard = rest.find(({ event }) =>
        event.type === "ThawRequested" || event.type === "ThawHookSeen"
      );
      assert.ok(heard !== undefined);
      assert.ok(!isReached(plus(release.now, HOOK_AFTER_THAW_MS), heard.now), "within the bound");
      const between = rest.slice(0, rest.indexOf(heard));
      assert.ok(between.every(({ event }) => event.type !== "FilesystemsFrozen"));
      if (heard.event.type === "ThawRequested") return;
    } else {
      assert.equal(release.event.type, "ThawHookSeen");
    }
    reachedThroughHook += 1;
    const decided = rest.find((step) =>
      step.event.type === "ThawRequested" || step.event.type === "AbortRequested"
    );
    assert.equal(decided?.event.type, "ThawRequested");
    if (decided !== undefined && rest.indexOf(decided) > rest.indexOf(finished)) {
      const word = rest.find(({ event }) => event.type === "ThawHookSeen");
      // A word after a release at the filesystems' thaw leaves post-thaw the time that the hook had.
      const isWaitedFor = release.event.type === "FilesystemsThawed" && word !== undefined &&
        rest.indexOf(word) > rest.indexOf(finished);
      const bound = plus(release.now, HOOK_AFTER_THAW_MS);
      const usual = plus((word ?? finished).now, THAW_HOOK_GRACE_MS);
      const limit = !isWaitedFor ? plus(finished.now, THAW_HOOK_GRACE_MS) : {
        monoMs: Math.max(usual.monoMs, bound.monoMs),
        wallMs: Math.max(usual.wallMs, bound.wallMs),
      };
      assert.ok(!isReached(limit, decided.now));
      const between = rest.slice(rest.indexOf(finished), rest.indexOf(decided));
      assert.ok(between.every((step) => step.event.type !== "SignalReceived"));
    }
  }, 6_000);
  // A property about nothing proves nothing.
  assert.ok(reached > 100, `only ${reached} runs reached it`);
  assert.ok(reachedThroughHook > 0, "no run reached it through the thaw hook");
  assert.ok(reachedThroughThaw > 0, "no run reached it through the filesystems' thaw");
});

Deno.test("no jump of the wall clock and no suspend lengthens a hold", () => {
  let shortened = 0;
  fc.assert(
    fc.property(script, (steps) => {
      // The same events at the same moments, once with and once without the jumps.
      const smooth = run(steps.map((step) => ({ ...step, wallJumpMs: 0 })));
      const names = smooth.map(({ event }) => nameOf(event));
      const jumpy = run(steps.map((step, index) => ({ ...step, event: names[index] ?? "onward" })));

      const left = holdOf(smooth);
      const leftJumpy = holdOf(jumpy);
      if (leftJumpy === null) return; // the jump kept it from being held at all
      assert.ok(left !== null, "a jump cannot make a hold");
      assert.equal(leftJumpy.from, left.from);
      assert.ok(leftJumpy.to <= left.to, `held until ${leftJumpy.to} instead of ${left.to}`);
      if (leftJumpy.to < left.to) shortened += 1;
    }),
    { numRuns: 6_000 },
  );
  assert.ok(shortened > 0, "no run had a jump that mattered");
});

/** From when to when a window was held on the monotonic clock; time alone ends it at last. */
function holdOf(script: readonly Step[]): { from: number; to: number } | null {
  const steps = [...script, ...waitUntilClosed(script)];
  const from = steps.find((step) => step.after.phase === "held");
  const to = steps.find((step) => step.before.phase === "held" && step.after.phase !== "held");
  return from === undefined || to === undefined
    ? null
    : { from: from.now.monoMs, to: to.now.monoMs };
}

function nameOf(event: WindowEvent): EventName {
  const found = (Object.keys(EVENTS) as EventName[]).find((name) => EVENTS[name] === event);
  assert.ok(found !== undefined);
  return found;
}

Deno.test("a hold never lasts longer than hold_timeout on either clock, when time is looked at", () => {
  check((script) => {
    for (const { now, after } of [...script, ...waitUntilClosed(script)]) {
      if (after.phase !== "held") continue;
      assert.ok(!isReached(plus(after.lockedAt, LIMITS.holdTimeoutMs), now));
    }
  });
});

Deno.test("before pre-freeze has accepted, nothing is held, was held, or is application-consistent", () => {
  check((script) => {
    let isAccepted = false;
    for (const { before, event, after } of [...script, ...waitUntilClosed(script)]) {
      isAccepted ||= before.phase === "answering" && event.type === "PreFreezeAccepted" &&
        after.phase === "held";
      const record = recordOf(after, DETAILS);
      assert.equal(record.was_held, isAccepted);
      if (!isAccepted) assert.notEqual(record.verdict, "application-consistent");
    }
  });
});

Deno.test("only a closed window has no deadline, and it has a verdict for ever", () => {
  check((script) => {
    for (const { before, after } of [...script, ...waitUntilClosed(script)]) {
      assert.equal(nextDeadline(after) === null, after.phase === "closed");
      if (before.phase === "closed") assert.equal(after, before);
    }
  });
});

Deno.test("no event closes a window in which a lock may be held: a release comes first", () => {
  const mayBeLocked = ["locking", "securing", "answering", "held"];
  check((script) => {
    for (const { before, event, after } of [...script, ...waitUntilClosed(script)]) {
      if (!mayBeLocked.includes(before.phase)) continue;
      // The one report that says that everything is given back already.
      if (event.type === "LockNotGranted" && after.phase === "preparing") continue;
      assert.ok([...mayBeLocked, "releasing"].includes(after.phase), after.phase);
    }
  });
});
