% loop.m - the closed loop in twenty lines, for Octave and MATLAB: octave-cli loop.m
% The optimizer asks, a function of ours answers, the optimizer is told; the same seed asks
% the same codes in every language.  SPDX-License-Identifier: MIT
best = mod(7 * (0:7), 16);  % ours: how near is a code to 0 7 14 5 12 3 10 1?
answer = @(I) -sum((I - repmat(best, size(I, 1), 1)) .^ 2, 2);

h = mango_mex('create', repmat(16, 1, 8), 'protes', 7);
for batch = 1:40
  I = mango_mex('ask', h, 10);
  fprintf('%d %d %d %d %d %d %d %d\n', I');
  mango_mex('tell', h, I, answer(I));
end
[value, code] = mango_mex('best', h);
fprintf('best %d at %d %d %d %d %d %d %d %d\n', value, code);
mango_mex('destroy', h);
