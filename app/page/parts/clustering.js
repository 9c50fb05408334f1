/**
 * Group faces by person: average linkage up to a threshold, as app/matching/clustering.py does it. It is here because the
 * vectors are, so that another threshold needs no request.
 */

/** @typedef {{ embedding: number[], threshold_offset: number }} Vector */

/**
 * Return the groups of indices, the largest first; equal sizes by their first face.
 * @param {Vector[]} faces
 * @param {number} threshold Of the normalized score, which is the distance plus both offsets.
 * @returns {number[][]}
 */
export function cluster(faces, threshold) {
  const scores = scores_of(faces);
  const groups = new Map(faces.map((_, index) => [index, [index]]));
  for (;;) {
    const [one, other] = nearest(scores, [...groups.keys()], threshold);
    if (one === undefined || other === undefined) break;
    join(scores, groups, one, other);
  }
  return [...groups.values()]
    .map((group) => group.sort((a, b) => a - b))
    .sort((one, other) => other.length - one.length || Number(one[0]) - Number(other[0]));
}

/** @param {Vector[]} faces */
function scores_of(faces) {
  return faces.map((one) =>
    Float64Array.from(
      faces,
      (other) => distance(one.embedding, other.embedding) + one.threshold_offset + other.threshold_offset,
    ),
  );
}

/** Return the squared L2 distance of two unit vectors. @param {number[]} one @param {number[]} other */
function distance(one, other) {
  return Math.max(0, 2 - 2 * one.reduce((sum, value, index) => sum + value * Number(other[index]), 0));
}

/**
 * Return the two nearest groups within the threshold.
 * @param {Float64Array[]} scores
 * @param {number[]} heads
 * @param {number} threshold
 */
function nearest(scores, heads, threshold) {
  let [least, one, other] = /** @type {[number, number | undefined, number | undefined]} */ ([
    threshold,
    undefined,
    undefined,
  ]);
  for (let i = 0; i < heads.length; i++) {
    const row = /** @type {Float64Array} */ (scores[Number(heads[i])]);
    for (let j = i + 1; j < heads.length; j++) {
      const score = Number(row[Number(heads[j])]);
      if (score <= least) [least, one, other] = [score, heads[i], heads[j]];
    }
  }
  return [one, other];
}

/**
 * Put the second group into the first; its mean scores are those of both, by their sizes.
 * @param {Float64Array[]} scores
 * @param {Map<number, number[]>} groups
 * @param {number} one
 * @param {number} other
 */
function join(scores, groups, one, other) {
  const [ours, theirs] = /** @type {[number[], number[]]} */ ([groups.get(one), groups.get(other)]);
  const [kept, gone] = /** @type {[Float64Array, Float64Array]} */ ([scores[one], scores[other]]);
  for (const each of groups.keys()) {
    const mean =
      (ours.length * Number(kept[each]) + theirs.length * Number(gone[each])) / (ours.length + theirs.length);
    kept[each] = /** @type {Float64Array} */ (scores[each])[one] = mean;
  }
  groups.set(one, [...ours, ...theirs]);
  groups.delete(other);
}
