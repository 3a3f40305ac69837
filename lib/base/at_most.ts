/** `promise`, or `otherwise` when it takes longer than `limitMs`. */
export async function atMost<T, U>(
  promise: Promise<T>,
  limitMs: number,
  otherwise: U,
): Promise<T | U> {
  let timer: number | undefined;
  const late = new Promise<U>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), Math.max(0, limitMs));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
