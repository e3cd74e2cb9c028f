/**
 * An empty ext4 filesystem of 64 MiB, for machines whose image has no mkfs.ext4: more than keys and certificates ever take.
 *
 * Made once, and the same bytes each time (e2fsprogs 1.47):
 *
 *     truncate -s 64M volume
 *     SOURCE_DATE_EPOCH=1767225600 mke2fs -q -t ext4 -L derpkit -N 4096 -b 4096 -m 0 -J size=4 \
 *       -U 64657270-6b69-4000-8000-000000000000 \
 *       -E hash_seed=64657270-6b69-4000-8000-000000000000,lazy_itable_init=0,nodiscard volume
 *     gzip -9n <volume | gzip -9n | base64
 *
 * It is nearly all zeros, of which gzip can say only a thousand at a time; so what it says is packed once more.
 */
export const emptyVolume = `
H4sIAAAAAAACA+3cf0zUdRzH8S/KxkmTtmRIBCGh4ti6YZGlCEeyqUtwzhUDAhGKTaKA2Q+v+HEgCQ2FnAxRdMjGEnQgnJAg
Ey+Sg7JimUBwcPHzQOImP0Wvg/sE/F9r/Xf1fPz13nv77LO9/n7t7X5SJi1btdrY17Tf8XVXaaqnKWgqP7mlZVVsh9Oplq4v
h46c2ty6O80ma7f/C086w2Kykg6nSm98Kq0L/sLtRKiTU2t3zDt739yx7mKTvyHD895h20SVYqbf9J2+vf2hsS84SBYYs7a1
Yqyn8GWPyq6ZVF2uz/3c5lvpL7kd+bzmxidxm9Z8P3lUHv9VZ+hgZPChtgLfux7BfQ0KfUNUUol3QZG7Zbh9LvHKeMIPSbez
N17JsdT8Vn23/uCW+rTbz5R1nXVoc85VR9rH+I53pKcFjSsXJubURyt39sTdqdANv6VLyo+6qBqVS4HTru9Xxe8pnhCdEboI
G41qNjX269CAOv3js2OXx/T+0t9r1OpKipR7pQMN/SppIHrfsEupYuN4WPBsanG+dtcro4oO7/GRjqwcr8T9/o1+MVW2S2/M
ISqZe/lkVHFVok6orhnMqqVlqd+8mJRrbpUYNL/2Pb20eNC1KM6/va/cKGwk6RuL+9KqW5iFtrb8Ulvs9mq3hcKQCLW2Jc98
P6/3kU/tIYP73GrpH6mZ6PpMn7VLsfytfbODs/SvZWi2nnfwTdeK92an7uknHxdNK52NHeLgg4TLJvXMi2sMNyY3hesdeq9F
PjWoPJeiNm13jPtR/6x83u/V2avdiypzXfei4nqdXetAgTKs8tg5ceZA/+DNPWfyDCHamrnXLoiAxe6fTNU94uebYnpINyp+
yTYpLpgTPojfVrhWGyY/4VO8EN4bvf765lD5+o8tl6K2zJtVjyYeRt8ZUn745JiziA9YqA8X75p+d+gNUHk8J2qrT+6w2EgA
/lcao1zKHMtcy7xaM52btv7R50IkAAAAAAAAAAAA+G8b8EpJ3rAyjQid7CoAAAAAAAAAAAAAALB23sbmzJUuwGmR4FlBHgAA
AAAAAAAAAAAAWL0aO7tVy12AQEt1XilxAAAAAAAAAAAAAABg9b593lW2chjApNl2nDgAAAAAAAAAAAAAALB69inJG1a6ACNC
JyMOAAAAAAAAAAAAAACsnrexOXOlC3BaJHhWkAcAAAAAAAAAAAAAAFavzi7HdrkLcNyimc+2kQAAAAAAAAAAAAAA+GsZamnn
oOdHS5Ptn7rDXOKtAAEA
`.trim();
