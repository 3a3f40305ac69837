/** Limits that the questions to a server share. */

/** Longest wait for a statement that only asks, while nothing is locked. */
export const QUERY_LIMIT_MS = 5_000;

/** Longest wait for a KILL, and then for the killed session to be gone. */
export const KILL_LIMIT_MS = 1_000;

/**
 * Longest wait for the coordinates before a release. They wait only where another session rotates
 * the binlog on a frozen disk; the clients are not kept waiting for a proof.
 */
export const PROOF_LIMIT_MS = 500;
