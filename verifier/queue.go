package verifier

import "slices"

// nodeHeap is a queue of nodes by place.
type nodeHeap []*node

func (h *nodeHeap) push(n *node) {
	*h = append(*h, n)
	q := *h
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if slices.Compare(q[i].place, q[up].place) >= 0 {
			break
		}
		q[i], q[up] = q[up], q[i]
		i = up
	}
}

func (h *nodeHeap) pop() {
	q := *h
	last := len(q) - 1
	q[0] = q[last]
	q[last] = nil
	q = q[:last]
	for i := 0; ; {
		kid := 2*i + 1
		if kid >= len(q) {
			break
		}
		if kid+1 < len(q) && slices.Compare(q[kid+1].place, q[kid].place) < 0 {
			kid++
		}
		if slices.Compare(q[i].place, q[kid].place) <= 0 {
			break
		}
		q[i], q[kid] = q[kid], q[i]
		i = kid
	}
	*h = q
}
