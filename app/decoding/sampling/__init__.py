"""Sampling transforms, logits to logits, and the draw: one file per idea.

Pure functions over rows (R, V), each parameter one value per row (R,); the input is never changed. A
removed token has logit -inf, and every transform works on the distribution that the ones before it left,
so on renormalised probabilities. Each keeps at least one token, and tokens of equal logit are kept or
removed together, so that the order of ids decides nothing. "Possible" tokens are those above -inf.

    penalties    repetition, frequency and presence penalties, no-repeat n-grams, logit bias
    dry          don't repeat yourself
    temperature  fixed, dynamic and entropy-dependent temperature, quadratic smoothing
    cuts         a threshold on probability: min-p, top-n-sigma, epsilon, eta, p-less, top-a, XTC
    ranked       a place in the order of probabilities: top-k, top-p, typical, top-H, tail-free
    feedback     those that follow the tokens drawn before: mirostat, adaptive-p
    drawing      the inverse CDF

`app.decoding.sampling.params` has their order, `app.decoding.sampling.chain` applies it.
"""
