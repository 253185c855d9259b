#!/bin/sh
# same_training.sh OLD NEW CIFAR10_DIR - do two builds of the tool train to the same bits? Small
# nets of every kind, a few updates each; all tensors are compared, by SHA-256.
old=$1 new=$2 root=$3 dir=$(mktemp -d) bad=0
trap 'rm -rf "$dir"' EXIT
sum() {
    tool=$1
    shift
    rm -f "$dir"/w.*
    "$tool" train "$@" --data cifar10 --root "$root" --epochs 1 --threads 1 --quiet \
        --dtype F32 --out "$dir/w.safetensors" >/dev/null || exit 1
    head=$(od -An -t u8 -N 8 "$dir/w.safetensors")
    tail -c +$((head + 9)) "$dir/w.safetensors" | sha256sum
}
one() {
    a=$(sum "$old" "$@") b=$(sum "$new" "$@")
    if [ -n "$a" ] && [ "$a" = "$b" ]; then echo "same    $*"; else echo "DIFFERS $*"; bad=1; fi
}
one net --arch spiking_resnet18,width=0.125 --T 2 --limit 96 --batch 32 --test-limit 32
one net --arch spiking_resnet18,width=0.0625 --T 3 --limit 48 --batch 16 --no-test \
    --optimizer adam
one net --arch resnet18,width=0.125 --limit 96 --batch 32 --test-limit 32
one net --arch resnet18,width=0.0625 --limit 48 --batch 16 --no-test --mixup 0.2 --ema 0.99
one net --arch snn_conv,surrogate=atan,slope=2,width=0.25 --T 4 --limit 48 --batch 16 \
    --test-limit 16
one net --arch snn_conv,width=0.13 --T 3 --limit 48 --batch 16 --no-test --optimizer sgd \
    --nesterov 1 --ema 0.9
one net --arch snn_conv --T 2 --limit 16 --batch 8 --no-test --optimizer adamw
one net --arch densenet,width=0.25 --limit 16 --batch 8 --no-test
one vqvae --limit 48 --batch 16 --test-limit 16
one sngan --arch sngan,width=0.0625 --dsc sngan_dsc,width=0.125 --limit 160 --batch 16
exit $bad
