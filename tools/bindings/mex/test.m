% test.m - what mango_mex does with faults, and the whole search.
% GEN and NET of the environment are weights files.  SPDX-License-Identifier: MIT
function fails(word, varargin)
  try
    mango_mex(varargin{:});
  catch e
    assert(! isempty(strfind(e.message, word)), e.message);
    return;
  end
  error('no error: %s expected', word);
end

fails('create', 'creat');
fails('expected');
fails('protes', 'create', [4 4], 'protesx', 1);
fails('k', 'create', [4 4], 'protes', 1, 'kk', 2);
fails('seed', 'create', [4 4], 'protes', -1);
fails('levels', 'create', [4 4.5], 'protes', 1);
fails('handle', 'ask', 1, 5);
h = mango_mex('create', [4 4 4], 'protes', uint64(1), 'minimize', 1);
fails('column', 'tell', h, [1 1], 1);
fails('value', 'tell', h, [1 1 1], [1 2]);
fails('levels', 'tell', h, [1 1 -1], 1);
fails('4', 'tell', h, [1 1 4], 1);
fails('told yet', 'best', h);
mango_mex('tell', h, [1 1 1; 2 2 2; 3 3 3], [2; 1; NaN]);
[y, I] = mango_mex('best', h);
assert(y == 1 && isequal(I, [2 2 2]));
assert(rows(mango_mex('ask', h)) > 0);
many = arrayfun(@(i) mango_mex('create', [4 4], 'random', i), 1:63);
fails('64', 'create', [4 4], 'random', 1);
arrayfun(@(h) mango_mex('destroy', h), many);
mango_mex('destroy', h);
fails('destroyed', 'ask', h, 5);
assert(any(strcmp(mango_mex('presets'), 'protes')));

gen = getenv('GEN');
net = getenv('NET');
[y, I, rgb] = mango_mex('search', gen, net, 'spiking1:3', 'protes', 60, 2, 'batch', 20);
assert(isequal(size(rgb), [32 32 3]) && min(rgb(:)) >= 0 && max(rgb(:)) <= 1);
[again, J] = mango_mex('search', gen, net, 'spiking1:3', 'protes', 60, 2, 'batch', 7);
assert(y == again && isequal(I, J));
fails('spiking', 'search', gen, net, 'spikin1:3', 'protes', 60, 2);
fails('nosuch', 'search', '/nosuch', net, 'spiking1:3', 'protes', 60, 2);
printf('best %.17g, mean %.17g\n', y, mean(rgb(:)));
disp('mango_mex: ok');
