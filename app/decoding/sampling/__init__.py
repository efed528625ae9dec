"""Sampling transforms, logits to logits, and the draw: one file per idea.

A sampler's fields, its place in the order and its transforms stand together, under the decorator of
`declaration`; `samplers` lists them all. Request, parameters, documentation and chain come from there.

Transforms are pure functions over rows (R, V), each parameter one value per row (R,); the input is never
changed. A removed token has logit -inf, and every transform works on the distribution that the ones before
it left, so on renormalised probabilities. Each keeps at least one token, and tokens of equal logit are kept
or removed together, so that the order of ids decides nothing. "Possible" tokens are those above -inf.

    penalties    repetition, frequency and presence penalties, no-repeat n-grams, logit bias
    dry          don't repeat yourself
    temperature  fixed, dynamic and entropy-dependent temperature, quadratic smoothing
    cuts         a threshold on probability: min-p, top-n-sigma, epsilon, eta, p-less, top-a, XTC
    ranked       a place in the order of probabilities: top-k, top-p, typical, top-H, tail-free
    feedback     those that follow the tokens drawn before: mirostat, adaptive-p
    drawing      the inverse CDF

`params` is what a row asks for, `fields` the same in a request, `chain` applies it.
"""
